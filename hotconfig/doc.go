// Package hotconfig reads a typed configuration from layered files and variables and keeps it up to date while the
// service runs. What is in force is always whole and valid: a new version is either accepted by everybody concerned or
// changes nothing.
//
//	     default.yaml ┐
//	   {APP_ENV}.yaml ┼─ read all ─ parse ─ merge ─ decode ─ defaults ─ validate ─ prepare ─┬─ swap ─ commit ─ announce
//	APP_A__B variables ┘                                                                      └─ or reject: the last good one stays
//
// The configuration is a struct of your own whose tags package schema reads. Load reads it once; Get returns it at the
// price of one atomic load; Bind lets machines follow their part of it; Watch starts following the files.
//
// # Layers
//
// From the lowest to the highest:
//
//	defaults           the default tags of the fields
//	default.yaml       must exist, and may be empty if no field is required
//	production.yaml    if APP_ENV=production; must exist unless Options.AllowMissingEnvFile; the name is 1 to 32 of a-z, 0-9, "-"
//	APP_PORT=80        environment variables, as they were when Load was called
//
// Mappings merge key by key, in all their depth. Lists do not merge: a higher one replaces a lower one. A null resets to
// the default, which for an entry of a map is not to be there. Every layer is checked also where a higher one hides it.
//
// # Variables
//
// A variable is the prefix and the path, levels joined by two underscores, without regard to case:
// APP_BREAKERS__PAYMENTS__OPEN_FOR is breakers.payments.open_for. At a map it means the entry there is, "-" and "_" being
// the same, else a new entry in lower case. A list is set whole, as a JSON literal, or element by element:
// APP_SERVERS__0__HOST changes an element or adds the next one. Structs and maps may be given as JSON too, and merge. The
// value is read as its field's type says; the empty text sets a text to empty and is an error for everything else.
//
// APP_TOKEN_FILE names a file with the value of APP_TOKEN, less one line break at its end. It is a source like the layer
// files: watched, and read again with them.
//
// An unknown variable is an error if it has "__" in it or is at most two letters from a known one; other variables that
// begin with the prefix are logged and ignored, and those that Kubernetes makes for Services are passed over silently.
//
// # Strictness
//
// A file says what it means or is rejected. Unknown keys are errors, with a guess at what was meant; so are values of
// another type (no yes for true, no "80" for 80, no 80 for a text, no 010, no 0x10, no duration without a unit), a number
// that does not fit, a value out of range (0 included: an absent key means the default, a written 0 means 0), keys given
// twice, a second document, anchors, aliases, merge keys and tags. A file is UTF-8, 1 MiB at most, nested 64 deep at most.
//
// All faults are told at once, sorted by layer and position, 20 at most:
//
//	default.yaml:12:5: breakers.payments.open_for: "3" is not a duration; write e.g. 3s (allowed: 1ms..1h)
//
// Values are cut after 32 characters, those of fields tagged secret:"true" are never shown, and nothing else of a file is
// repeated. Rules over several fields, in Validate methods of the configuration or of structs in it, run once every field
// is right by itself, and see the defaults.
//
// # Reloading
//
// A watcher takes any event in any directory on the way to the files as a sign that something may have changed, and looks
// every 30 s besides. It waits until the files have been quiet for 100 ms, 1 s at the longest, so that
// renaming, deleting and creating, swapping of symbolic links and writing in steps all end in one reload of the finished
// file. A file is read again if it changed while it was read. What has the same content is no change.
//
// On error the last good version stays in force: the error goes to the log, to Options.OnEvent and into Stats. A file that
// said something in that version and is now missing or empty is such an error; {} says that emptiness is meant.
//
// # Limits
//
// No reader can know whether a writer has finished. Whoever writes a file in place and pauses for longer than Debounce in
// the middle shows the half that is there, and if that half is valid it comes into force until the rest is written.
// Whoever calls Reload by hand does not even wait. Writing another file and renaming it has no such gap. Two files
// that change together but not at one time can likewise be seen one new and one old.
//
// Variables of a running process do not change: a new value takes a restart. A file mounted by itself (Kubernetes subPath)
// never changes either; mount the directory.
//
// What Get returns is shared and must not be written to.
package hotconfig
