//go:build race

package transport_test

// slowdown is what the race detector costs on a busy machine.
const slowdown = 20
