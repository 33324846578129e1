-- +goose Up
-- modify "targets" table
ALTER TABLE "targets" ADD COLUMN "host" character varying NULL, ADD COLUMN "allow" jsonb NULL;
