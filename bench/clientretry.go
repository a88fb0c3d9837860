package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/failsafe-go/failsafe-go/failsafehttp"
	"github.com/failsafe-go/failsafe-go/hedgepolicy"
	"github.com/hashicorp/go-retryablehttp"

	"github.com/mw-go/mw"
	"github.com/mw-go/mw/core/hedge"
	"github.com/mw-go/mw/httpmw"
)

func clientRows() []Row {
	return []Row{
		{
			Name: "ClientRetry", About: "send a GET whose first attempt is answered",
			Contestants: []Contestant{{Ours, oursClientRetry}, {"retryablehttp", retryableHTTP(sendGet)}, {"failsafehttp", failsafeHTTP(sendGet)}},
		},
		{
			Name: "ClientRetryBody", About: "send a PUT of 1 KiB with GetBody whose first attempt is answered",
			Contestants: []Contestant{{Ours, oursClientPut}, {"retryablehttp", retryableHTTP(sendPut)}, {"failsafehttp", failsafeHTTP(sendPut)}},
		},
		{
			Name: "ClientHedge", About: "send a GET that is answered before the delay of a hedge",
			Contestants: []Contestant{{Ours, oursClientHedge}, {"failsafehttp", failsafeHTTPHedge}},
		},
	}
}

// answering is a transport that reads what it is sent and answers at once. The response is a new one each time, since
// RoundTrippers change it.
type answering struct{ header http.Header }

func (a answering) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		var p [512]byte
		for {
			if _, err := r.Body.Read(p[:]); err != nil {
				break
			}
		}
		_ = r.Body.Close()
	}
	return &http.Response{StatusCode: http.StatusOK, Header: a.header, Body: http.NoBody, Request: r}, nil
}

func newAnswering() answering {
	return answering{http.Header{}}
}

// A sender makes the request that is sent over and over.
type sender func() *http.Request

func sendGet() *http.Request { return mustRequest(http.MethodGet, "") }

func sendPut() *http.Request { return mustRequest(http.MethodPut, strings.Repeat("x", 1<<10)) }

func mustRequest(method, body string) *http.Request {
	r, err := http.NewRequestWithContext(context.Background(), method, "http://bench.example/path", strings.NewReader(body))
	if err != nil {
		panic(err)
	}
	if body == "" {
		r.Body, r.GetBody, r.ContentLength = nil, nil, 0
	}
	return r
}

// trips returns a loop over rt. The body is put back to its beginning for each call, which costs all sides the same.
func trips(rt http.RoundTripper, send sender) func(from, n int) int {
	return func(_, n int) (admitted int) {
		r := send()
		for range n {
			if r.GetBody != nil {
				r.Body, _ = r.GetBody()
			}
			resp, err := rt.RoundTrip(r)
			if err == nil && resp.StatusCode == http.StatusOK {
				admitted++
				_ = resp.Body.Close()
			}
		}
		return admitted
	}
}

func oursClientRetry() Subject { return oursClient(sendGet) }

func oursClientPut() Subject { return oursClient(sendPut) }

func oursClient(send sender) Subject {
	r := newRetry()
	return Subject{
		Loop: trips(httpmw.ClientRetry(r)(newAnswering()), send),
		Check: func(calls int) error {
			if s := r.Snapshot(); s.Admitted != uint64(calls) || s.Retries != 0 {
				return fmt.Errorf("%d calls begun and %d retries after %d calls", s.Admitted, s.Retries, calls)
			}
			return nil
		},
	}
}

func retryableHTTP(send sender) func() Subject {
	return func() Subject {
		c := retryablehttp.NewClient()
		c.Logger = nil
		c.HTTPClient = &http.Client{Transport: newAnswering()}
		return Subject{Loop: trips(&retryablehttp.RoundTripper{Client: c}, send)}
	}
}

func failsafeHTTP(send sender) func() Subject {
	return func() Subject {
		return Subject{Loop: trips(failsafehttp.NewRoundTripper(newAnswering(), failsafehttp.NewRetryPolicyBuilder().Build()), send)}
	}
}

func oursClientHedge() Subject {
	h := mw.Must(hedge.New("bench", hedge.Config{Delay: time.Second}, hedge.Hooks{}))
	return Subject{Loop: trips(httpmw.ClientHedge(h)(newAnswering()), sendGet)}
}

func failsafeHTTPHedge() Subject {
	return Subject{Loop: trips(failsafehttp.NewRoundTripper(newAnswering(), hedgepolicy.NewWithDelay[*http.Response](time.Second)), sendGet)}
}
