-- Rows of `answers` had numbers that were used before, once the newest of them were gone. So rows up to `answers_indexed`
-- may be missing in the index.
INSERT OR REPLACE INTO answer_index (day, lookup, answer)
  SELECT a.expires_at / 86400000, a.lookup, a.id FROM answers a
  WHERE a.id <= (SELECT answers_indexed FROM server)
    AND NOT EXISTS (
      SELECT 1 FROM answer_index i
      WHERE i.day IN (a.expires_at / 86400000, a.expires_at / 86400000 - 1)
        AND i.lookup = a.lookup AND i.answer = a.id);
