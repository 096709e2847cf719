package sharedscrape

import (
	"bytes"
	"context"
	"maps"
	"net/http"
	"strings"
	"sync"
)

// handler makes one answer at a time. Who asks for what is being made waits for it: it is as old as its making, at most.
type handler struct {
	base http.Handler
	turn sync.Mutex // held while an answer is made

	mu     sync.Mutex
	making map[string]*answer
}

// answer is what is made, or waits for its turn, for everybody who asked for the same.
type answer struct {
	waiting int // guarded by handler.mu
	done    chan struct{}

	header http.Header
	status int
	body   bytes.Buffer
}

func newHandler(base http.Handler) *handler {
	return &handler{base: base, making: map[string]*answer{}}
}

// ServeHTTP answers with what is made for the first who asked.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet {
		h.base.ServeHTTP(w, r)
		return
	}
	made := h.join(r)
	select {
	case <-made.done:
		maps.Copy(w.Header(), made.header)
		w.WriteHeader(made.status)
		_, _ = w.Write(made.body.Bytes()) // who does not read it any more needs no telling
	case <-r.Context().Done():
	}
	h.mu.Lock()
	made.waiting--
	h.mu.Unlock()
}

func (h *handler) join(r *http.Request) *answer {
	of := strings.Join(append(r.Header.Values("Accept"), r.Header.Get("Accept-Encoding"), r.RequestURI), "\n")
	h.mu.Lock()
	defer h.mu.Unlock()
	made, found := h.making[of]
	if !found {
		made = &answer{done: make(chan struct{}), header: http.Header{}, status: http.StatusOK}
		h.making[of] = made
		request := r.Clone(context.WithoutCancel(r.Context())) // others may wait when the first has hung up
		request.Body = http.NoBody
		go h.make(of, made, request)
	}
	made.waiting++
	return made
}

func (h *handler) make(of string, made *answer, r *http.Request) {
	h.turn.Lock()
	defer h.turn.Unlock()
	h.mu.Lock()
	if made.waiting == 0 { // all hung up before its turn came
		delete(h.making, of)
		h.mu.Unlock()
		return
	}
	h.mu.Unlock()
	defer func() {
		if recover() != nil { // as a server does, which lets no request end the program
			made.status = http.StatusInternalServerError
		}
		h.mu.Lock()
		delete(h.making, of)
		h.mu.Unlock()
		close(made.done)
	}()
	h.base.ServeHTTP(made, r)
}

// Header is of the answer, as http.ResponseWriter says.
func (a *answer) Header() http.Header { return a.header }

// WriteHeader keeps the status.
func (a *answer) WriteHeader(status int) { a.status = status }

// Write keeps a part of the body.
func (a *answer) Write(part []byte) (int, error) { return a.body.Write(part) }
