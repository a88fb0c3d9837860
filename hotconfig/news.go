package hotconfig

import "sync"

// news delivers calls to code that is not ours: listeners, OnEvent, the log. Calls run in the order they were added, one
// at a time and under no lock. Whoever finds nobody delivering does it, for all that is queued and all that is added
// meanwhile, so that a listener that causes more news does not call itself.
type news struct {
	panicked func(error)

	mu         sync.Mutex // guards what follows
	queue      []func()
	delivering bool
}

func (n *news) add(f func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.queue = append(n.queue, f)
}

func (n *news) deliver() {
	n.mu.Lock()
	if n.delivering {
		n.mu.Unlock()
		return
	}
	n.delivering = true
	n.mu.Unlock()
	finished := false
	defer func() {
		if finished {
			return // and somebody else may be delivering by now
		}
		// A listener has ended its goroutine (runtime.Goexit). The next to come shall go on.
		n.mu.Lock()
		n.delivering = false
		n.mu.Unlock()
	}()
	for {
		f := n.next()
		if f == nil {
			finished = true
			return
		}
		if err := guarded("a listener", f); err != nil {
			n.panicked(err)
		}
	}
}

// next takes a call from the queue. Finding none, it ends the delivery in the same breath, so that what is added just
// after is not left lying.
func (n *news) next() func() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.queue) == 0 {
		n.delivering = false
		return nil
	}
	f := n.queue[0]
	n.queue = n.queue[1:]
	return f
}
