-- The batches of a project in their order, so that a page of them is read past no other.
DROP INDEX batches_by_project;
CREATE INDEX batches_by_project ON batches (project, id);
