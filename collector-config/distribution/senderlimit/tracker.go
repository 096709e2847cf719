package senderlimit

import "time"

// tracker counts the series that the exporter still shows, by sender. It is not safe for concurrent use.
type tracker struct {
	maxSeries, maxTotal int
	expiration          time.Duration
	senders             map[string]*sender
	total               int
	swept               time.Time
}

type sender struct {
	series map[uint64]series
	cost   int
}

type series struct {
	cost int
	seen time.Time
}

func newTracker(maxSeries, maxTotal int, expiration time.Duration) *tracker {
	return &tracker{maxSeries: maxSeries, maxTotal: maxTotal, expiration: expiration, senders: map[string]*sender{}}
}

// verdict is why a point may not pass; passed is that it may.
type verdict string

const (
	passed       verdict = ""
	overSender   verdict = "series of the sender"
	overTotal    verdict = "series of all senders"
	overAttributes verdict = "attributes of a point"
)

// admit counts a series of a sender, which makes `cost` series of Prometheus. One that is known may always go on.
func (t *tracker) admit(name string, identity uint64, cost int, now time.Time) verdict {
	from := t.senders[name]
	if from == nil {
		from = &sender{series: map[uint64]series{}}
	}
	known := from.series[identity]
	grown := cost - known.cost
	if grown > 0 && from.cost+grown > t.maxSeries {
		return overSender
	}
	if grown > 0 && t.total+grown > t.maxTotal {
		return overTotal
	}
	t.senders[name] = from
	from.series[identity] = series{cost: cost, seen: now}
	from.cost += grown
	t.total += grown
	return passed
}

// sweep forgets the series that the exporter does not show any more.
func (t *tracker) sweep(now time.Time) {
	if now.Sub(t.swept) < t.expiration/4 {
		return
	}
	t.swept = now
	for name, from := range t.senders {
		for identity, one := range from.series {
			if now.Sub(one.seen) > t.expiration {
				delete(from.series, identity)
				from.cost -= one.cost
				t.total -= one.cost
			}
		}
		if len(from.series) == 0 {
			delete(t.senders, name)
		}
	}
}
