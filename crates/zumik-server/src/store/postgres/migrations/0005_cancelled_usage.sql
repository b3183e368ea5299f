-- `failed` is true of generations that ended with an error: those that are `failed` or `expired` in their records. In rows of
-- version 4 it is true of `cancelled` ones, too. A quote within a string of a record has a backslash before it.
UPDATE usage_events e SET failed = false
  FROM usage_records r
  WHERE r.id = e.id AND e.failed AND strpos(r.record, '"status":"cancelled"') > 0;
