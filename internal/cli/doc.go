// Package cli is the command line: the server's commands (serve, migrate,
// demo) and the commands by which CI and people use a server, which speak to
// it through its public API alone.
//
// # Exit codes
//
//	0    it worked; a deployment that was waited for succeeded
//	1    a deployment that was waited for failed or errored; the demo missed
//	     an expectation; the server ended with an error
//	2    the command line is wrong
//	3    the server refused, with a code
//	4    the server cannot be reached or gave no usable answer in time
//	5    waiting took longer than --timeout
//	6    a deployment that was waited for was cancelled, rejected or superseded
//	130  interrupted (Ctrl-C) before the end
//
// Results go to standard output, everything else to standard error. With
// `-o json` the result is the `data` of the GraphQL answer as it came; streams
// print one object a line.
package cli
