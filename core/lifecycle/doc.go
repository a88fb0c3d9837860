// Package lifecycle is the one state of a process that health probes, servers and long-lived calls look at: whether it takes
// work, and, on the way out, how much longer.
//
//	starting --Ready--> ready --Shutdown--> leaving --Wait--> draining --all stopped, or Grace--> stopped
//
// # Transitions
//
//	state      event                                  next       effect
//	starting   Ready                                  ready
//	starting   Shutdown                               leaving    not ready
//	ready      Unready                                starting   not ready
//	ready      Shutdown                               leaving    not ready: load balancers look away
//	leaving    Wait has passed                        draining   Draining is closed: streams say goodbye; the stops begin
//	draining   every stop has returned                stopped    Shutdown returns
//	draining   Grace has passed, or ctx is done       draining   the contexts of the stops end: they stop by force
//	stopped    -                                      stopped
//
// What is not in the table changes nothing: who is leaving is not Ready again, and a second Shutdown waits for the first, and
// hurries it if its own context ends earlier.
//
// # Why wait
//
// Whoever balances load learns that a process is not ready by asking, every few seconds; until then it sends work, which a
// server that has closed its door would refuse. So the process goes on serving for Wait, and answers probes with not ready.
//
// # Config
//
// It is read when Shutdown begins. Wait and Grace together have to stay below what whoever runs the process grants it
// between the signal and the kill: 30 s by default in Kubernetes.
//
// # When not to use it
//
// It is not a supervisor: it starts nothing and restarts nothing. Checks of dependencies are not its business; who makes them
// calls Ready and Unready.
package lifecycle
