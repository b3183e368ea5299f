-- `failed` is 1 for generations that ended with an error: those that are `failed` or `expired` in their records. In rows of
-- version 4 it is 1 for `cancelled` ones, too. A quote within a string of a record has a backslash before it.
UPDATE usage_events SET failed = 0
  WHERE failed = 1
    AND EXISTS (SELECT 1 FROM usage_records r WHERE r.id = usage_events.id AND instr(r.record, '"status":"cancelled"') > 0);
