-- +goose Up
-- modify "decisions" table
ALTER TABLE "decisions" ADD COLUMN "open" boolean NOT NULL DEFAULT false, ADD COLUMN "source_id" character varying NULL, ADD CONSTRAINT "decisions_deployments_source" FOREIGN KEY ("source_id") REFERENCES "deployments" ("id") ON UPDATE NO ACTION ON DELETE SET NULL;
-- create index "decision_open" to table: "decisions"
CREATE INDEX "decision_open" ON "decisions" ("environment_id", "id") WHERE open;
-- create "holds" table
CREATE TABLE "holds" ("id" character varying NOT NULL, "created_at" timestamptz NOT NULL, "actor_kind" character varying NOT NULL, "actor_issuer" character varying NOT NULL, "actor_subject" character varying NOT NULL, "actor_display" character varying NOT NULL, "reason" character varying NOT NULL, "released_at" timestamptz NULL, "release_reason" character varying NULL, "released_by_kind" character varying NULL, "released_by_issuer" character varying NULL, "released_by_subject" character varying NULL, "released_by_display" character varying NULL, "service_id" character varying NOT NULL, "environment_id" character varying NOT NULL, "placement_id" character varying NOT NULL, "deployment_id" character varying NULL, PRIMARY KEY ("id"), CONSTRAINT "holds_deployments_deployment" FOREIGN KEY ("deployment_id") REFERENCES "deployments" ("id") ON UPDATE NO ACTION ON DELETE SET NULL, CONSTRAINT "holds_environments_environment" FOREIGN KEY ("environment_id") REFERENCES "environments" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION, CONSTRAINT "holds_placements_placement" FOREIGN KEY ("placement_id") REFERENCES "placements" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION, CONSTRAINT "holds_services_service" FOREIGN KEY ("service_id") REFERENCES "services" ("id") ON UPDATE NO ACTION ON DELETE NO ACTION);
-- create index "hold_created_at_id" to table: "holds"
CREATE INDEX "hold_created_at_id" ON "holds" ("created_at", "id");
-- create index "hold_environment_id_created_at_id" to table: "holds"
CREATE INDEX "hold_environment_id_created_at_id" ON "holds" ("environment_id", "created_at", "id");
-- create index "hold_service_id_environment_id_created_at_id" to table: "holds"
CREATE INDEX "hold_service_id_environment_id_created_at_id" ON "holds" ("service_id", "environment_id", "created_at", "id");
-- create index "hold_standing" to table: "holds"
CREATE UNIQUE INDEX "hold_standing" ON "holds" ("placement_id") WHERE (released_at IS NULL);
