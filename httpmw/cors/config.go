package cors

import (
	"errors"
	"time"

	lib "github.com/jub0bs/cors"
	"github.com/jub0bs/cors/cfgerrors"

	"github.com/mw-go/mw/core/schema"
)

// Config says who may do what. It is data only.
type Config struct {
	// Origins are the origins whose pages may use the service: https://shop.example, https://*.shop.example for its
	// subdomains of any depth, http://localhost:* for any port, or "*" for all. Required. Refused are "null", "*" with
	// Credentials, and with Credentials, unless allowed below, origins of other schemes than https and subdomains of
	// public suffixes.
	Origins []string `required:"true"`
	// Credentials lets them send cookies and client certificates along. An Authorization field that a script sets itself
	// is a request header and no credential in this sense. Default false.
	Credentials bool
	// Methods are those allowed beside GET, HEAD and POST, or "*" for all. OPTIONS need not be among them for the sake of
	// preflights. Default none.
	Methods []string
	// RequestHeaders are the fields that scripts may set beside those that every page may, or "*" for all. Without
	// Credentials "*" does not cover Authorization: name it too. Default none.
	RequestHeaders []string
	// ResponseHeaders are the fields that scripts may read beside those that every page may, or "*" for all, but not with
	// Credentials. Default none.
	ResponseHeaders []string
	// MaxAge is how long a browser may go by the answer to a preflight, in whole seconds. Default 10m, what all browsers
	// allow. Range 1s to 24h, or none (-1).
	MaxAge time.Duration `default:"10m" range:"1s..24h|none"`
	// MaxRequested is how many bytes of Access-Control-Request-Headers are looked at; a preflight with more is refused.
	// Default 4096. Range 64 to 65536.
	MaxRequested int `default:"4096" range:"64..65536"`
	// AllowInsecureOrigins allows http origins with Credentials: whoever is on their way speaks with the cookies of your
	// users. Default false.
	AllowInsecureOrigins bool
	// AllowPublicSuffixes allows subdomains of public suffixes such as https://*.github.io with Credentials: anybody can
	// have one. Default false.
	AllowPublicSuffixes bool
}

// Validate returns every fault of the Config at once, as schema.Errors, or nil.
func (c Config) Validate() error {
	_, err := c.build()
	return err
}

// build makes the library's middleware.
func (c Config) build() (*lib.Middleware, error) {
	full := schema.Fill(c)
	age := -1
	if full.MaxAge > 0 {
		age = int(full.MaxAge / time.Second)
	}
	var faults schema.Errors
	if full.MaxAge > 0 && full.MaxAge%time.Second != 0 {
		faults = append(faults, schema.Fault("max_age", full.MaxAge, "whole seconds"))
	}
	own := schema.Flatten("", schema.Validate(c))
	m, err := lib.NewMiddleware(lib.Config{
		Origins:                            c.Origins,
		Credentialed:                       c.Credentials,
		Methods:                            c.Methods,
		RequestHeaders:                     c.RequestHeaders,
		ResponseHeaders:                    c.ResponseHeaders,
		MaxAgeInSeconds:                    min(max(age, -1), 86400), // what is beyond is a fault by its range
		DangerouslyTolerateInsecureOrigins: c.AllowInsecureOrigins,
		DangerouslyTolerateSubdomainsOfPublicSuffixes: c.AllowPublicSuffixes,
	})
	if err != nil && len(c.Origins) > 0 {
		for err := range cfgerrors.All(err) {
			faults = append(faults, fault(err))
		}
	}
	if faults = append(own, faults...); len(faults) > 0 {
		return nil, faults
	}
	return m, err
}

// fault says what the library complains of in terms of our fields.
func fault(err error) *schema.FieldError {
	var (
		origin    *cfgerrors.UnacceptableOriginPatternError
		together  *cfgerrors.IncompatibleOriginPatternError
		method    *cfgerrors.UnacceptableMethodError
		header    *cfgerrors.UnacceptableHeaderNameError
		responses *cfgerrors.IncompatibleWildcardResponseHeaderNameError
	)
	switch {
	case errors.As(err, &origin):
		return schema.Fault("origins", origin.Value, "scheme://host or scheme://host:port in lower case, "+
			"such as https://shop.example or https://*.shop.example")
	case errors.As(err, &together):
		return schema.Fault("origins", together.Value, incompatible(together.Reason))
	case errors.As(err, &method):
		return schema.Fault("methods", method.Value, "the name of a method, but for CONNECT, TRACE and TRACK")
	case errors.As(err, &header):
		return schema.Fault(header.Type+"_headers", header.Value, "the name of a "+header.Type+" header that browsers leave to scripts")
	case errors.As(err, &responses):
		return schema.Fault("response_headers", "*", "names one by one, with credentials")
	default:
		return schema.Fault("", nil, err.Error())
	}
}

// incompatible says what an origin must be where cookies are sent along.
func incompatible(reason string) string {
	switch reason {
	case "wildcard":
		return "origins by name, with credentials"
	case "insecure":
		return "https, with credentials; or set allow_insecure_origins"
	default:
		return "subdomains of a domain of one owner, with credentials; or set allow_public_suffixes"
	}
}
