-- +goose Up
-- create "observations" table
CREATE TABLE `observations` (`id` integer NOT NULL PRIMARY KEY AUTOINCREMENT, `at` datetime NOT NULL, `observed` json NULL, `observed_at` datetime NULL, `drift` text NULL, `placement_id` text NOT NULL, CONSTRAINT `observations_placements_placement` FOREIGN KEY (`placement_id`) REFERENCES `placements` (`id`) ON DELETE NO ACTION);
-- create index "observation_placement_id_at_id" to table: "observations"
CREATE INDEX `observation_placement_id_at_id` ON `observations` (`placement_id`, `at`, `id`);
-- create "observation_heads" table
CREATE TABLE `observation_heads` (`id` integer NOT NULL PRIMARY KEY AUTOINCREMENT, `seq` integer NOT NULL);
-- what was observed last begins the history
INSERT INTO observations (id, placement_id, at, observed, observed_at, drift)
  SELECT ROW_NUMBER() OVER (ORDER BY observed_at, id), id, observed_at, observed, observed_at, drift FROM placements WHERE observed_at IS NOT NULL;
-- the one row of the head
INSERT INTO observation_heads (id, seq) SELECT 1, COALESCE(MAX(id), 0) FROM observations;
