-- +goose Up
-- disable the enforcement of foreign-keys constraints
PRAGMA foreign_keys = off;
-- create "new_decisions" table
CREATE TABLE `new_decisions` (`id` text NOT NULL, `created_at` datetime NOT NULL, `rule_revision` integer NOT NULL, `event_id` text NOT NULL, `effect` text NOT NULL, `reasons` json NOT NULL, `open` bool NOT NULL DEFAULT (false), `rule_id` text NOT NULL, `version_id` text NOT NULL, `environment_id` text NOT NULL, `deployment_id` text NULL, `source_id` text NULL, PRIMARY KEY (`id`), CONSTRAINT `decisions_rules_rule` FOREIGN KEY (`rule_id`) REFERENCES `rules` (`id`) ON DELETE NO ACTION, CONSTRAINT `decisions_versions_version` FOREIGN KEY (`version_id`) REFERENCES `versions` (`id`) ON DELETE NO ACTION, CONSTRAINT `decisions_environments_environment` FOREIGN KEY (`environment_id`) REFERENCES `environments` (`id`) ON DELETE NO ACTION, CONSTRAINT `decisions_deployments_deployment` FOREIGN KEY (`deployment_id`) REFERENCES `deployments` (`id`) ON DELETE SET NULL, CONSTRAINT `decisions_deployments_source` FOREIGN KEY (`source_id`) REFERENCES `deployments` (`id`) ON DELETE SET NULL);
-- copy rows from old table "decisions" to new temporary table "new_decisions"
INSERT INTO `new_decisions` (`id`, `created_at`, `rule_revision`, `event_id`, `effect`, `reasons`, `rule_id`, `version_id`, `environment_id`, `deployment_id`) SELECT `id`, `created_at`, `rule_revision`, `event_id`, `effect`, `reasons`, `rule_id`, `version_id`, `environment_id`, `deployment_id` FROM `decisions`;
-- drop "decisions" table after copying rows
DROP TABLE `decisions`;
-- rename temporary table "new_decisions" to "decisions"
ALTER TABLE `new_decisions` RENAME TO `decisions`;
-- create index "decision_rule_id_event_id" to table: "decisions"
CREATE UNIQUE INDEX `decision_rule_id_event_id` ON `decisions` (`rule_id`, `event_id`);
-- create index "decision_rule_id_created_at_id" to table: "decisions"
CREATE INDEX `decision_rule_id_created_at_id` ON `decisions` (`rule_id`, `created_at`, `id`);
-- create index "decision_version_id_created_at_id" to table: "decisions"
CREATE INDEX `decision_version_id_created_at_id` ON `decisions` (`version_id`, `created_at`, `id`);
-- create index "decision_deployment_id" to table: "decisions"
CREATE INDEX `decision_deployment_id` ON `decisions` (`deployment_id`);
-- create index "decision_open" to table: "decisions"
CREATE INDEX `decision_open` ON `decisions` (`environment_id`, `id`) WHERE open;
-- create "holds" table
CREATE TABLE `holds` (`id` text NOT NULL, `created_at` datetime NOT NULL, `actor_kind` text NOT NULL, `actor_issuer` text NOT NULL, `actor_subject` text NOT NULL, `actor_display` text NOT NULL, `reason` text NOT NULL, `released_at` datetime NULL, `release_reason` text NULL, `released_by_kind` text NULL, `released_by_issuer` text NULL, `released_by_subject` text NULL, `released_by_display` text NULL, `service_id` text NOT NULL, `environment_id` text NOT NULL, `placement_id` text NOT NULL, `deployment_id` text NULL, PRIMARY KEY (`id`), CONSTRAINT `holds_services_service` FOREIGN KEY (`service_id`) REFERENCES `services` (`id`) ON DELETE NO ACTION, CONSTRAINT `holds_environments_environment` FOREIGN KEY (`environment_id`) REFERENCES `environments` (`id`) ON DELETE NO ACTION, CONSTRAINT `holds_placements_placement` FOREIGN KEY (`placement_id`) REFERENCES `placements` (`id`) ON DELETE NO ACTION, CONSTRAINT `holds_deployments_deployment` FOREIGN KEY (`deployment_id`) REFERENCES `deployments` (`id`) ON DELETE SET NULL);
-- create index "hold_standing" to table: "holds"
CREATE UNIQUE INDEX `hold_standing` ON `holds` (`placement_id`) WHERE released_at IS NULL;
-- create index "hold_created_at_id" to table: "holds"
CREATE INDEX `hold_created_at_id` ON `holds` (`created_at`, `id`);
-- create index "hold_service_id_environment_id_created_at_id" to table: "holds"
CREATE INDEX `hold_service_id_environment_id_created_at_id` ON `holds` (`service_id`, `environment_id`, `created_at`, `id`);
-- create index "hold_environment_id_created_at_id" to table: "holds"
CREATE INDEX `hold_environment_id_created_at_id` ON `holds` (`environment_id`, `created_at`, `id`);
-- enable back the enforcement of foreign-keys constraints
PRAGMA foreign_keys = on;
