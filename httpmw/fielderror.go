package httpmw

import (
	"errors"
	"net/http"
	"strings"

	"github.com/mw-go/mw/core/schema"
	"github.com/mw-go/mw/internal/strictjson"
)

// FieldError is a fault of one field of a request, for the Validate methods of what Validate decodes. The client sees all
// of it, so Detail must not repeat the value. Several are joined by errors.Join.
type FieldError struct {
	Names  []string // from the outside in, as they are in the JSON: "items", "3", "price"; none for the whole
	Detail string   // says what would be right: "must be above 0"
}

// Error returns the names and the detail.
func (e *FieldError) Error() string { return strings.Join(e.Names, ".") + ": " + e.Detail }

// fault is an element of the member errors of a problem (RFC 9457 section 3).
type fault struct {
	Pointer string `json:"pointer"`
	Detail  string `json:"detail"`
}

// jsonProblem is the answer to an error of package strictjson.
func jsonProblem(err error) (p *problem, errorType string) {
	if syntax, ok := errors.AsType[*strictjson.SyntaxError](err); ok {
		return newProblem(problemSpec{
			Status:  http.StatusBadRequest,
			Detail:  "the body is not well-formed JSON",
			Members: []member{{Name: "errors", Value: []fault{{syntax.Pointer, syntax.Reason}}}},
		}), errorBodyMalformed
	}
	var faults []fault
	if found, ok := errors.AsType[strictjson.Faults](err); ok {
		for _, f := range found {
			faults = append(faults, fault(f))
		}
	}
	return faultProblem(faults), errorBodyInvalid
}

// faultProblem is the answer to a value that is not what was asked for.
func faultProblem(faults []fault) *problem {
	spec := problemSpec{Status: http.StatusUnprocessableEntity, Title: "Unprocessable Content", Detail: "the body is not what is expected"}
	if len(faults) > 0 {
		spec.Members = []member{{Name: "errors", Value: faults}}
	}
	return newProblem(spec)
}

// fieldErrors collects what an error of a Validate method has for the client: at most as many as a decoder finds.
func fieldErrors(err error) (faults []fault) {
	for tree := []error{err}; len(tree) > 0 && len(faults) < strictjson.MaxFaults; {
		err, tree = tree[0], tree[1:]
		switch e := err.(type) { //nolint:errorlint // the tree is walked by hand
		case *FieldError:
			faults = append(faults, fault{strictjson.Pointer(e.Names...), e.Detail})
			continue
		case *schema.FieldError:
			if e.Err != nil && fieldErrors(e.Err) != nil {
				break // somebody's Validate inside: its own names are the better ones
			}
			faults = append(faults, fault{strictjson.Pointer(pathNames(e.Path)...), schemaDetail(e)})
			continue
		}
		switch e := err.(type) { //nolint:errorlint // the same
		case interface{ Unwrap() []error }:
			tree = append(append([]error(nil), e.Unwrap()...), tree...)
		case interface{ Unwrap() error }:
			if inner := e.Unwrap(); inner != nil {
				tree = append([]error{inner}, tree...)
			}
		}
	}
	return faults
}

// schemaDetail leaves out the value, and what an error of another type says.
func schemaDetail(e *schema.FieldError) string {
	switch {
	case e.Err != nil || e.Want == "":
		return "is not what is expected"
	case e.Value == "":
		return e.Want
	default:
		return "is not allowed; allowed: " + e.Want
	}
}

// pathNames takes a path of package schema apart: items[3].price, routes["/v1.2"].
func pathNames(path string) (names []string) {
	for path != "" {
		switch path[0] {
		case '.':
			path = path[1:]
		case '[':
			inner, rest, ok := strings.Cut(path[1:], "]")
			if strings.HasPrefix(inner, `"`) {
				inner, rest, ok = strings.Cut(path[2:], `"]`)
			}
			if !ok {
				return append(names, path)
			}
			names, path = append(names, inner), rest
		default:
			end := strings.IndexAny(path, ".[")
			if end < 0 {
				end = len(path)
			}
			names, path = append(names, path[:end]), path[end:]
		}
	}
	return names
}
