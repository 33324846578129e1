-- +goose Up
-- create "checks" table
CREATE TABLE `checks` (`id` text NOT NULL, `created_at` datetime NOT NULL, `actor_kind` text NOT NULL, `actor_issuer` text NOT NULL, `actor_subject` text NOT NULL, `actor_display` text NOT NULL, `name` text NOT NULL, `result` text NOT NULL, `url` text NULL, `summary` text NULL, `version_id` text NOT NULL, `environment_id` text NULL, PRIMARY KEY (`id`), CONSTRAINT `checks_versions_version` FOREIGN KEY (`version_id`) REFERENCES `versions` (`id`) ON DELETE NO ACTION, CONSTRAINT `checks_environments_environment` FOREIGN KEY (`environment_id`) REFERENCES `environments` (`id`) ON DELETE SET NULL);
-- create index "check_version_id_environment_id_created_at_id" to table: "checks"
CREATE INDEX `check_version_id_environment_id_created_at_id` ON `checks` (`version_id`, `environment_id`, `created_at`, `id`);
-- create "configurations" table
CREATE TABLE `configurations` (`id` text NOT NULL, `created_at` datetime NOT NULL, `actor_kind` text NOT NULL, `actor_issuer` text NOT NULL, `actor_subject` text NOT NULL, `actor_display` text NOT NULL, `scope` text NOT NULL, `layer` text NOT NULL, `revision` integer NOT NULL, `content_digest` text NOT NULL, `reason` text NULL, `service_id` text NULL, `environment_id` text NULL, PRIMARY KEY (`id`), CONSTRAINT `configurations_services_service` FOREIGN KEY (`service_id`) REFERENCES `services` (`id`) ON DELETE SET NULL, CONSTRAINT `configurations_environments_environment` FOREIGN KEY (`environment_id`) REFERENCES `environments` (`id`) ON DELETE SET NULL);
-- create index "configuration_layer_revision" to table: "configurations"
CREATE UNIQUE INDEX `configuration_layer_revision` ON `configurations` (`layer`, `revision`);
-- create "decisions" table
CREATE TABLE `decisions` (`id` text NOT NULL, `created_at` datetime NOT NULL, `rule_revision` integer NOT NULL, `event_id` text NOT NULL, `effect` text NOT NULL, `reasons` json NOT NULL, `rule_id` text NOT NULL, `version_id` text NOT NULL, `environment_id` text NOT NULL, `deployment_id` text NULL, PRIMARY KEY (`id`), CONSTRAINT `decisions_rules_rule` FOREIGN KEY (`rule_id`) REFERENCES `rules` (`id`) ON DELETE NO ACTION, CONSTRAINT `decisions_versions_version` FOREIGN KEY (`version_id`) REFERENCES `versions` (`id`) ON DELETE NO ACTION, CONSTRAINT `decisions_environments_environment` FOREIGN KEY (`environment_id`) REFERENCES `environments` (`id`) ON DELETE NO ACTION, CONSTRAINT `decisions_deployments_deployment` FOREIGN KEY (`deployment_id`) REFERENCES `deployments` (`id`) ON DELETE SET NULL);
-- create index "decision_rule_id_event_id" to table: "decisions"
CREATE UNIQUE INDEX `decision_rule_id_event_id` ON `decisions` (`rule_id`, `event_id`);
-- create index "decision_rule_id_created_at_id" to table: "decisions"
CREATE INDEX `decision_rule_id_created_at_id` ON `decisions` (`rule_id`, `created_at`, `id`);
-- create index "decision_version_id_created_at_id" to table: "decisions"
CREATE INDEX `decision_version_id_created_at_id` ON `decisions` (`version_id`, `created_at`, `id`);
-- create index "decision_deployment_id" to table: "decisions"
CREATE INDEX `decision_deployment_id` ON `decisions` (`deployment_id`);
-- create "deployments" table
CREATE TABLE `deployments` (`id` text NOT NULL, `created_at` datetime NOT NULL, `actor_kind` text NOT NULL, `actor_issuer` text NOT NULL, `actor_subject` text NOT NULL, `actor_display` text NOT NULL, `kind` text NOT NULL, `cause` text NOT NULL, `status` text NOT NULL, `status_reason` text NULL, `reason` text NULL, `occurred_at` datetime NOT NULL, `acted_at` datetime NULL, `finished_at` datetime NULL, `became_current_at` datetime NULL, `current_order` integer NULL, `url` text NULL, `backfill` bool NOT NULL DEFAULT (false), `layers` json NULL, `base_id` text NULL, `source_id` text NULL, `superseded_by_id` text NULL, `holds_slot` bool NOT NULL DEFAULT (false), `stop_requested_at` datetime NULL, `stop_reason` text NULL, `preempted_by_id` text NULL, `override_reason` text NULL, `rules_event_id` text NULL, `diagnosis` json NULL, `endpoints` json NULL, `service_id` text NOT NULL, `environment_id` text NOT NULL, `version_id` text NULL, `target_id` text NOT NULL, `snapshot_id` text NULL, PRIMARY KEY (`id`), CONSTRAINT `deployments_services_service` FOREIGN KEY (`service_id`) REFERENCES `services` (`id`) ON DELETE NO ACTION, CONSTRAINT `deployments_environments_environment` FOREIGN KEY (`environment_id`) REFERENCES `environments` (`id`) ON DELETE NO ACTION, CONSTRAINT `deployments_versions_version` FOREIGN KEY (`version_id`) REFERENCES `versions` (`id`) ON DELETE SET NULL, CONSTRAINT `deployments_targets_target` FOREIGN KEY (`target_id`) REFERENCES `targets` (`id`) ON DELETE NO ACTION, CONSTRAINT `deployments_snapshots_snapshot` FOREIGN KEY (`snapshot_id`) REFERENCES `snapshots` (`id`) ON DELETE SET NULL);
-- create index "deployment_slot" to table: "deployments"
CREATE UNIQUE INDEX `deployment_slot` ON `deployments` (`service_id`, `environment_id`) WHERE holds_slot;
-- create index "deployment_occurred_at_id" to table: "deployments"
CREATE INDEX `deployment_occurred_at_id` ON `deployments` (`occurred_at`, `id`);
-- create index "deployment_service_id_occurred_at_id" to table: "deployments"
CREATE INDEX `deployment_service_id_occurred_at_id` ON `deployments` (`service_id`, `occurred_at`, `id`);
-- create index "deployment_environment_id_occurred_at_id" to table: "deployments"
CREATE INDEX `deployment_environment_id_occurred_at_id` ON `deployments` (`environment_id`, `occurred_at`, `id`);
-- create index "deployment_service_id_environment_id_occurred_at_id" to table: "deployments"
CREATE INDEX `deployment_service_id_environment_id_occurred_at_id` ON `deployments` (`service_id`, `environment_id`, `occurred_at`, `id`);
-- create index "deployment_version_id_occurred_at_id" to table: "deployments"
CREATE INDEX `deployment_version_id_occurred_at_id` ON `deployments` (`version_id`, `occurred_at`, `id`);
-- create index "deployment_actor_subject_occurred_at_id" to table: "deployments"
CREATE INDEX `deployment_actor_subject_occurred_at_id` ON `deployments` (`actor_subject`, `occurred_at`, `id`);
-- create index "deployment_current" to table: "deployments"
CREATE INDEX `deployment_current` ON `deployments` (`service_id`, `environment_id`, `became_current_at`, `current_order`) WHERE became_current_at IS NOT NULL;
-- create index "deployment_acted" to table: "deployments"
CREATE INDEX `deployment_acted` ON `deployments` (`service_id`, `environment_id`, `acted_at`) WHERE acted_at IS NOT NULL;
-- create index "deployment_rules_due" to table: "deployments"
CREATE INDEX `deployment_rules_due` ON `deployments` (`rules_event_id`) WHERE rules_event_id IS NOT NULL;
-- create index "deployment_unfinished" to table: "deployments"
CREATE INDEX `deployment_unfinished` ON `deployments` (`service_id`, `environment_id`, `id`) WHERE finished_at IS NULL;
-- create "documents" table
CREATE TABLE `documents` (`id` text NOT NULL, `content` text NOT NULL, PRIMARY KEY (`id`));
-- create "environments" table
CREATE TABLE `environments` (`id` text NOT NULL, `created_at` datetime NOT NULL, `labels` json NOT NULL, `name` text NOT NULL, `title` text NOT NULL, `tier` text NOT NULL, `rank` integer NOT NULL, `owner` text NULL, `locked_reason` text NULL, `archived_at` datetime NULL, `target_id` text NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `environments_targets_target` FOREIGN KEY (`target_id`) REFERENCES `targets` (`id`) ON DELETE NO ACTION);
-- create index "environment_name_unarchived" to table: "environments"
CREATE UNIQUE INDEX `environment_name_unarchived` ON `environments` (`name`) WHERE archived_at IS NULL;
-- create index "environment_rank_name_id" to table: "environments"
CREATE INDEX `environment_rank_name_id` ON `environments` (`rank`, `name`, `id`);
-- create "events" table
CREATE TABLE `events` (`id` text NOT NULL, `actor_kind` text NOT NULL, `actor_issuer` text NOT NULL, `actor_subject` text NOT NULL, `actor_display` text NOT NULL, `seq` integer NOT NULL, `time` datetime NOT NULL, `type` text NOT NULL, `source` text NOT NULL, `subject` text NOT NULL, `service_id` text NULL, `message` text NOT NULL, `payload_digest` text NOT NULL, `prev` text NOT NULL, `hash` text NOT NULL, PRIMARY KEY (`id`));
-- create index "events_seq_key" to table: "events"
CREATE UNIQUE INDEX `events_seq_key` ON `events` (`seq`);
-- create index "event_subject_seq" to table: "events"
CREATE INDEX `event_subject_seq` ON `events` (`subject`, `seq`);
-- create index "event_service_id_seq" to table: "events"
CREATE INDEX `event_service_id_seq` ON `events` (`service_id`, `seq`);
-- create index "event_type_seq" to table: "events"
CREATE INDEX `event_type_seq` ON `events` (`type`, `seq`);
-- create index "event_time" to table: "events"
CREATE INDEX `event_time` ON `events` (`time`);
-- create "idempotency_keys" table
CREATE TABLE `idempotency_keys` (`id` integer NOT NULL PRIMARY KEY AUTOINCREMENT, `created_at` datetime NOT NULL, `caller` text NOT NULL, `mutation` text NOT NULL, `key` text NOT NULL, `input_digest` text NOT NULL, `result` json NOT NULL);
-- create index "idempotencykey_caller_mutation_key" to table: "idempotency_keys"
CREATE UNIQUE INDEX `idempotencykey_caller_mutation_key` ON `idempotency_keys` (`caller`, `mutation`, `key`);
-- create "images" table
CREATE TABLE `images` (`id` integer NOT NULL PRIMARY KEY AUTOINCREMENT, `name` text NOT NULL, `reference` text NOT NULL, `digest` text NULL, `version_id` text NOT NULL, CONSTRAINT `images_versions_images` FOREIGN KEY (`version_id`) REFERENCES `versions` (`id`) ON DELETE NO ACTION);
-- create index "image_version_id_name" to table: "images"
CREATE UNIQUE INDEX `image_version_id_name` ON `images` (`version_id`, `name`);
-- create index "image_digest" to table: "images"
CREATE INDEX `image_digest` ON `images` (`digest`);
-- create index "image_reference" to table: "images"
CREATE INDEX `image_reference` ON `images` (`reference`);
-- create "journal_heads" table
CREATE TABLE `journal_heads` (`id` integer NOT NULL PRIMARY KEY AUTOINCREMENT, `seq` integer NOT NULL, `hash` text NOT NULL);
-- create "leases" table
CREATE TABLE `leases` (`id` text NOT NULL, `owner` text NOT NULL, `epoch` integer NOT NULL, `beat` integer NOT NULL, `until` datetime NOT NULL, PRIMARY KEY (`id`));
-- create "log_chunks" table
CREATE TABLE `log_chunks` (`id` integer NOT NULL PRIMARY KEY AUTOINCREMENT, `deployment_id` text NOT NULL, `first_seq` integer NOT NULL, `last_seq` integer NOT NULL, `first_time` datetime NOT NULL, `last_time` datetime NOT NULL, `raw_bytes` integer NOT NULL, `data` blob NOT NULL);
-- create index "logchunk_deployment_id_first_seq" to table: "log_chunks"
CREATE UNIQUE INDEX `logchunk_deployment_id_first_seq` ON `log_chunks` (`deployment_id`, `first_seq`);
-- create index "logchunk_deployment_id_last_seq" to table: "log_chunks"
CREATE INDEX `logchunk_deployment_id_last_seq` ON `log_chunks` (`deployment_id`, `last_seq`);
-- create "log_heads" table
CREATE TABLE `log_heads` (`id` text NOT NULL, `last_seq` integer NOT NULL, `bytes` integer NOT NULL, `sources` json NOT NULL, `outcome_seq` integer NULL, `closed` bool NOT NULL DEFAULT (false), PRIMARY KEY (`id`));
-- create "payloads" table
CREATE TABLE `payloads` (`id` text NOT NULL, `content` text NULL, PRIMARY KEY (`id`));
-- create "placements" table
CREATE TABLE `placements` (`id` text NOT NULL, `created_at` datetime NOT NULL, `recorded_version_id` text NULL, `current_order` integer NOT NULL DEFAULT (0), `observed` json NULL, `observed_at` datetime NULL, `drift` text NULL, `service_id` text NOT NULL, `environment_id` text NOT NULL, `recorded_id` text NULL, `applied_id` text NULL, PRIMARY KEY (`id`), CONSTRAINT `placements_services_service` FOREIGN KEY (`service_id`) REFERENCES `services` (`id`) ON DELETE NO ACTION, CONSTRAINT `placements_environments_environment` FOREIGN KEY (`environment_id`) REFERENCES `environments` (`id`) ON DELETE NO ACTION, CONSTRAINT `placements_deployments_recorded` FOREIGN KEY (`recorded_id`) REFERENCES `deployments` (`id`) ON DELETE SET NULL, CONSTRAINT `placements_deployments_applied` FOREIGN KEY (`applied_id`) REFERENCES `deployments` (`id`) ON DELETE SET NULL);
-- create index "placement_service_id_environment_id" to table: "placements"
CREATE UNIQUE INDEX `placement_service_id_environment_id` ON `placements` (`service_id`, `environment_id`);
-- create index "placement_environment_id_service_id" to table: "placements"
CREATE INDEX `placement_environment_id_service_id` ON `placements` (`environment_id`, `service_id`);
-- create index "placement_recorded_version_id" to table: "placements"
CREATE INDEX `placement_recorded_version_id` ON `placements` (`recorded_version_id`);
-- create "refusals" table
CREATE TABLE `refusals` (`id` integer NOT NULL PRIMARY KEY AUTOINCREMENT, `hour` datetime NOT NULL, `caller` text NOT NULL, `operation` text NOT NULL, `code` text NOT NULL, `count` integer NOT NULL, `last_at` datetime NOT NULL);
-- create index "refusal_hour_caller_operation_code" to table: "refusals"
CREATE UNIQUE INDEX `refusal_hour_caller_operation_code` ON `refusals` (`hour`, `caller`, `operation`, `code`);
-- create "rules" table
CREATE TABLE `rules` (`id` text NOT NULL, `created_at` datetime NOT NULL, `name` text NOT NULL, `revision` integer NOT NULL, `enabled` bool NOT NULL, `trigger` text NOT NULL, `kinds` json NOT NULL, `service_names` json NOT NULL, `service_labels` json NOT NULL, `service_owners` json NOT NULL, `condition` text NULL, `updated_at` datetime NOT NULL, `deleted_at` datetime NULL, `source_environment_id` text NULL, `target_environment_id` text NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `rules_environments_source_environment` FOREIGN KEY (`source_environment_id`) REFERENCES `environments` (`id`) ON DELETE SET NULL, CONSTRAINT `rules_environments_target_environment` FOREIGN KEY (`target_environment_id`) REFERENCES `environments` (`id`) ON DELETE NO ACTION);
-- create index "rule_name_undeleted" to table: "rules"
CREATE UNIQUE INDEX `rule_name_undeleted` ON `rules` (`name`) WHERE deleted_at IS NULL;
-- create index "rule_trigger_enabled" to table: "rules"
CREATE INDEX `rule_trigger_enabled` ON `rules` (`trigger`, `enabled`);
-- create "services" table
CREATE TABLE `services` (`id` text NOT NULL, `created_at` datetime NOT NULL, `labels` json NOT NULL, `name` text NOT NULL, `title` text NOT NULL, `owner` text NULL, `repository_url` text NULL, `catalog_ref` text NULL, `last_ordinal` integer NOT NULL DEFAULT (0), `archived_at` datetime NULL, PRIMARY KEY (`id`));
-- create index "service_name_unarchived" to table: "services"
CREATE UNIQUE INDEX `service_name_unarchived` ON `services` (`name`) WHERE archived_at IS NULL;
-- create index "service_name_id" to table: "services"
CREATE INDEX `service_name_id` ON `services` (`name`, `id`);
-- create index "service_catalog_ref" to table: "services"
CREATE INDEX `service_catalog_ref` ON `services` (`catalog_ref`);
-- create index "service_owner_name" to table: "services"
CREATE INDEX `service_owner_name` ON `services` (`owner`, `name`);
-- create "snapshots" table
CREATE TABLE `snapshots` (`id` text NOT NULL, `created_at` datetime NOT NULL, `digest` text NOT NULL, `renderer` text NOT NULL, `target` text NOT NULL, `content_digest` text NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `snapshots_documents_document` FOREIGN KEY (`content_digest`) REFERENCES `documents` (`id`) ON DELETE NO ACTION);
-- create index "snapshot_digest" to table: "snapshots"
CREATE UNIQUE INDEX `snapshot_digest` ON `snapshots` (`digest`);
-- create "steps" table
CREATE TABLE `steps` (`id` text NOT NULL, `index` integer NOT NULL, `kind` text NOT NULL, `name` text NOT NULL, `status` text NOT NULL, `attempt` integer NOT NULL DEFAULT (0), `message` text NULL, `epoch` integer NOT NULL DEFAULT (0), `started_at` datetime NULL, `finished_at` datetime NULL, `deployment_id` text NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `steps_deployments_deployment` FOREIGN KEY (`deployment_id`) REFERENCES `deployments` (`id`) ON DELETE NO ACTION);
-- create index "step_deployment_id_index" to table: "steps"
CREATE UNIQUE INDEX `step_deployment_id_index` ON `steps` (`deployment_id`, `index`);
-- create "targets" table
CREATE TABLE `targets` (`id` text NOT NULL, `created_at` datetime NOT NULL, `kind` text NOT NULL, `connection` text NULL, `namespace` text NULL, PRIMARY KEY (`id`));
-- create "versions" table
CREATE TABLE `versions` (`id` text NOT NULL, `created_at` datetime NOT NULL, `labels` json NOT NULL, `actor_kind` text NOT NULL, `actor_issuer` text NOT NULL, `actor_subject` text NOT NULL, `actor_display` text NOT NULL, `name` text NOT NULL, `ordinal` integer NOT NULL, `commit` text NULL, `ref` text NULL, `built_at` datetime NOT NULL, `author` text NULL, `build_url` text NULL, `notes_digest` text NULL, `workload_kind` text NOT NULL, `workload_digest` text NULL, `workload_from_id` text NULL, `content_digest` text NOT NULL, `blocked_reason` text NULL, `backfill` bool NOT NULL DEFAULT (false), `service_id` text NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `versions_services_service` FOREIGN KEY (`service_id`) REFERENCES `services` (`id`) ON DELETE NO ACTION);
-- create index "version_service_id_name" to table: "versions"
CREATE UNIQUE INDEX `version_service_id_name` ON `versions` (`service_id`, `name`);
-- create index "version_service_id_ordinal" to table: "versions"
CREATE UNIQUE INDEX `version_service_id_ordinal` ON `versions` (`service_id`, `ordinal`);
-- create index "version_service_id_built_at_id" to table: "versions"
CREATE INDEX `version_service_id_built_at_id` ON `versions` (`service_id`, `built_at`, `id`);
-- create index "version_name" to table: "versions"
CREATE INDEX `version_name` ON `versions` (`name`);
-- create index "version_commit" to table: "versions"
CREATE INDEX `version_commit` ON `versions` (`commit`);
