// Package policy is the named machines of a service and the one Config that tunes them all.
//
// The code names what it needs and says what only code can say (hooks); the configuration says the numbers. So there
// is no list of machines to keep in step: a name in the code without settings has its defaults, and a name in the
// settings that no code asks for is reported by Set.Check.
//
//	file ---> Config ---> Set.Tune: Prepare every machine, then commit every machine
//	code ---> Set.Breaker("payments", hooks) ---> the same machine wherever it is asked for
//
// Tune is all or nothing. Each machine's package says what survives it.
//
// # Stacks
//
// A Stack is policies in the order in which a call passes them. Set.Client and Set.Server build the recommended ones from
// the names of their policies, and Do runs a call behind them; adapters build theirs from the same plans.
//
//	client   timeout > retry > hedge > throttle > rate limit > breaker > bulkhead > timeout of an attempt > call
//	server   timeout > rate limit > adaptive limit > bulkhead > breaker > call
//
// The time of the whole bounds the delays between attempts too. What each attempt has to pay for is inside of what makes
// attempts. What costs the least to say no comes before what costs more, and a call that waits for a slot is not one that
// the breaker watches for slowness: a guard that made it wait tells those before it.
//
// Set.Stack takes any order that makes sense, and refuses the rest with an *OrderError that says why:
//
//	two retries, two hedges, a retry inside a hedge    their attempts multiply
//	a guard outside a retry or a hedge                 it would see one call where there are several
//	a hedge without a Budget, or another than the      retries and extra attempts would add up
//	retry's
//	a hedge that no retry surrounds and that does not  nothing would fund its Budget
//	tell the Budget of the calls, or one too many
//	the same machine twice                             it would count each call twice
//	a timeout inside that is not shorter than the one  it can never be over first
//	outside; a retry's AttemptTimeout likewise
//	a timeout that is over before a hedge's delay is   there would never be two attempts side by side
//
// Times are those of enforced and shadow policies; a disabled one does no harm. The rules hold for the life of the Set:
// Prepare and Tune refuse settings that break them.
package policy
