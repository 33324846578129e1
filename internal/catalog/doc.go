// Package catalog keeps services, versions, environments with their targets,
// configurations and checks: the nouns that deployments are made of. Each
// change is one transaction with its events. It owns their rows; nobody else
// writes them.
package catalog
