package senderlimit

import (
	"errors"
	"time"
)

// Config bounds what one sender, and all of them together, may keep in the exporter that Prometheus scrapes.
type Config struct {
	// MaxSeries is the most series of one sender; a histogram counts as many as Prometheus makes of it.
	MaxSeries int `mapstructure:"max_series"`
	// MaxTotalSeries is the most series of all senders.
	MaxTotalSeries int `mapstructure:"max_total_series"`
	// Expiration is how long a series counts after its last point: as long as the exporter shows it.
	Expiration time.Duration `mapstructure:"expiration"`
	// MaxAttributes is the most attributes of a point; one with more is dropped.
	MaxAttributes int `mapstructure:"max_attributes"`
	// MaxLength is the most bytes of a name, a description, a unit, a key or a value; longer ones are cut.
	MaxLength int `mapstructure:"max_length"`
}

// Validate refuses bounds that would let nothing pass.
func (c *Config) Validate() error {
	if c.MaxSeries < 1 || c.MaxTotalSeries < 1 || c.MaxAttributes < 1 || c.MaxLength < 1 || c.Expiration <= 0 {
		return errors.New("max_series, max_total_series, max_attributes, max_length and expiration must be above 0")
	}
	return nil
}
