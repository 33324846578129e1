package testschema

//go:generate go tool gqlgen generate
