// Package observe reads the machines of a service for metrics: what each decided, in which mode and state it is, what is
// in flight, waiting and left, and how long calls took where the machine keeps that.
//
//	policy.Set.All ---> Read ---> Sample, Sample, ... ---> observe/prom, observe/otelmetric, or what you have
//
// It reads the machines' own counters when somebody asks. Nothing is added to the path of a call, and what nobody
// scrapes costs nothing. The package knows no metrics library; observe/prom and observe/otelmetric do, each its own, so
// that a binary links what it uses.
//
// # Metrics
//
// All is the list: 20 metrics, of which a machine has those that mean something for its kind. Every sample has the labels
// kind and name, and at most one more, whose values come from a fixed list of the program:
//
//	mw.policy.admitted                calls admitted; of a runner: begun; in shadow and disabled mode too
//	mw.policy.rejected                calls rejected, by reason; "any" where the machine does not tell them apart
//	mw.policy.shadowed                calls that shadow mode admitted and the policy would have rejected
//	mw.policy.outcomes                results of calls, by outcome
//	mw.policy.events                  what else the machine counts, by event: retries, hits, timeouts, ...
//	mw.policy.gave_up                 calls that a retry gave up, by reason
//	mw.policy.mode                    1 for the mode in force, 0 for the others
//	mw.policy.overridden              1 while an operator's override is in force
//	mw.policy.state                   1 for the state of a breaker, 0 for the others
//	mw.policy.limit                   tokens a period, calls at once, resources or entries
//	mw.policy.limit.period            seconds of the period of a rate limit
//	mw.policy.in_flight               calls running, resources lent, functions left behind
//	mw.policy.waiting                 calls in the queue
//	mw.policy.remaining               tokens left: of a rate limit, or of the budget of a retry or hedge
//	mw.policy.entries                 what is kept, by kind: entries of a cache, idle resources, open keys
//	mw.policy.keys                    cells of a keyed guard
//	mw.policy.key_overflows           calls that shared the overflow cell
//	mw.policy.latency                 seconds, by statistic: baseline, recent, limit, delay
//	mw.policy.latency.window          calls in the sliding window that took at most le seconds
//	mw.policy.listener_faults         events lost or panics of the listener, by fault
//
// mw.policy.latency.window is what OpenMetrics calls a gauge histogram: the machine's window slides, so its counts fall
// as well, and histogram_quantile takes them as they are, without rate.
//
// The state and the remaining tokens of a keyed guard are those of its zero key. A name must be unique within its kind,
// as a policy.Set makes sure.
package observe
