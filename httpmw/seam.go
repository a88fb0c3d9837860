package httpmw

import "github.com/mw-go/mw/httpmw/internal/seam"

// foreignHook is a headerHook of another package of this module.
type foreignHook struct{ seam.HeaderHook }

func (f foreignHook) beforeHeader(x *exchange, status int) { f.BeforeHeader(x.Header(), status) }

// OnHeader is for packages under httpmw; see internal/seam.
func (x *exchange) OnHeader(h seam.HeaderHook) { x.beforeHeader(foreignHook{h}) }
