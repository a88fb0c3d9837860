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
package policy
