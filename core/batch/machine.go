package batch

import "github.com/mw-go/mw/core"

// pile is a batch as it is being collected: how many items, how large together, and since when. It is the whole state
// that decides when a batch goes.
type pile struct {
	items int
	bytes int64
	since core.Time // when the first item came
}

// cause is why a batch goes.
type cause uint8

const (
	notYet  cause = iota
	full          // MaxItems
	heavy         // MaxBytes
	due           // Delay
	drained       // Close, a Tune, or another mode
	causes
)

// fits reports whether an item can join, and not only the next batch.
func (p *pile) fits(c *Config, size int64) bool {
	return p.items == 0 || c.MaxBytes == core.None || size <= int64(c.MaxBytes)-p.bytes
}

// add takes an item in, which fits.
func (p *pile) add(size int64, now core.Time) {
	if p.items == 0 {
		p.since = now
	}
	p.items++
	p.bytes += size
}

// remove takes an item out whose caller has left. The others wait since when they did.
func (p *pile) remove(size int64) {
	p.items--
	p.bytes -= size
}

// enough says whether the batch goes for its size, and why.
func (p *pile) enough(c *Config) cause {
	switch {
	case p.items >= c.MaxItems:
		return full
	case c.MaxBytes != core.None && p.bytes >= int64(c.MaxBytes) && p.items > 0:
		return heavy
	default:
		return notYet
	}
}

// verdict says whether the batch goes at time now, and why. A clock that runs backwards makes it wait longer.
func (p *pile) verdict(c *Config, now core.Time) cause {
	why := p.enough(c)
	if why == notYet && p.items > 0 && now.Sub(p.since) >= c.Delay {
		return due
	}
	return why
}

// tooLarge reports whether an item can be in no batch.
func tooLarge(c *Config, size int64) bool { return c.MaxBytes != core.None && size > int64(c.MaxBytes) }

// next is pile after an item, for batches that exist on paper only: gone counts those that have gone by then, at most
// two.
func (p *pile) next(c *Config, size int64, now core.Time) (gone int) {
	if p.verdict(c, now) != notYet || !p.fits(c, size) {
		*p = pile{}
		gone++
	}
	p.add(size, now)
	if v := p.verdict(c, now); v != notYet {
		*p = pile{}
		gone++
	}
	return gone
}
