package sharedscrape

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// slow makes answers that end when they are let, and counts them.
type slow struct {
	made, at, most atomic.Int32
	let            chan struct{}
}

func (s *slow) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.made.Add(1)
	s.most.Store(max(s.most.Load(), s.at.Add(1)))
	<-s.let
	s.at.Add(-1)
	w.Header().Set("Content-Type", r.Header.Get("Accept"))
	w.WriteHeader(http.StatusAccepted)
	_, _ = w.Write([]byte("series"))
}

func ask(ctx context.Context, h http.Handler, accept string) *httptest.ResponseRecorder {
	got := httptest.NewRecorder()
	request := httptest.NewRequest(http.MethodGet, "/metrics", nil).WithContext(ctx)
	request.Header.Set("Accept", accept)
	h.ServeHTTP(got, request)
	return got
}

func waiting(h *handler) (all int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, made := range h.making {
		all += made.waiting
	}
	return all
}

func eventually(t *testing.T, look func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !look(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it did not become so")
		}
	}
}

func TestWhoAsksWhileAnAnswerIsMadeGetsIt(t *testing.T) {
	base := &slow{let: make(chan struct{})}
	h := newHandler(base)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			got := ask(context.Background(), h, "text/plain")
			if got.Code != http.StatusAccepted || got.Body.String() != "series" || got.Header().Get("Content-Type") != "text/plain" {
				t.Errorf("got %d %q %v", got.Code, got.Body, got.Header())
			}
		})
	}
	eventually(t, func() bool { return waiting(h) == 20 })
	close(base.let)
	all.Wait()
	if made := base.made.Load(); made != 1 {
		t.Errorf("%d answers were made, not 1", made)
	}
	ask(context.Background(), h, "text/plain")
	if made := base.made.Load(); made != 2 {
		t.Error("who asks later gets a new answer")
	}
}

func TestAnswersOfOtherFormsAreMadeOneAtATime(t *testing.T) {
	base := &slow{let: make(chan struct{})}
	h := newHandler(base)
	var all sync.WaitGroup
	for _, accept := range []string{"text/plain", "application/json", "text/html"} {
		all.Go(func() {
			if got := ask(context.Background(), h, accept).Header().Get("Content-Type"); got != accept {
				t.Errorf("who asked for %s got %s", accept, got)
			}
		})
	}
	eventually(t, func() bool { return waiting(h) == 3 })
	close(base.let)
	all.Wait()
	if most := base.most.Load(); most != 1 {
		t.Errorf("%d answers were made at once", most)
	}
}

func TestWhoHangsUpIsNotWaitedForAndWhatNobodyWaitsForIsNotMade(t *testing.T) {
	base := &slow{let: make(chan struct{})}
	h := newHandler(base)
	ctx, hangUp := context.WithCancel(context.Background())
	var all sync.WaitGroup
	all.Go(func() { ask(ctx, h, "text/plain") })
	eventually(t, func() bool { return base.made.Load() == 1 })
	all.Go(func() { ask(ctx, h, "text/html") })
	eventually(t, func() bool { return waiting(h) == 2 })
	hangUp()
	all.Wait()
	close(base.let)
	eventually(t, func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return len(h.making) == 0
	})
	if made := base.made.Load(); made != 1 {
		t.Errorf("%d answers were made, not 1", made)
	}
}

func TestAPanicIsAnErrorForThoseWhoWaitAlone(t *testing.T) {
	h := newHandler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("wrong") }))
	if got := ask(context.Background(), h, "").Code; got != http.StatusInternalServerError {
		t.Errorf("the status is %d", got)
	}
}

func TestWhatIsNoGetIsPassedOn(t *testing.T) {
	h := newHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	got := httptest.NewRecorder()
	h.ServeHTTP(got, httptest.NewRequest(http.MethodPost, "/metrics", nil))
	if got.Code != http.StatusTeapot {
		t.Errorf("the status is %d", got.Code)
	}
}
