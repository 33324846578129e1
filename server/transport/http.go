package transport

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/shiplog/shiplog/internal/fault"
)

// rejection is a request that is refused by HTTP's rules.
type rejection struct {
	status int
	cause  error
}

func (r *rejection) Error() string { return r.cause.Error() }

func (r *rejection) Unwrap() error { return r.cause }

// reject refuses what is invalid by HTTP's rules.
func reject(status int, format string, args ...any) error {
	return &rejection{status: status, cause: fault.New(fault.InvalidInput, format, args...)}
}

// serveHTTP serves POST and GET, with one answer or an event stream.
func (h *Handler) serveHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Cache-Control", "no-store")
	header.Add("Vary", "Accept")

	accept := negotiate(r.Header.Values("Accept"))
	if accept.plain == "" && !accept.events {
		h.reject(w, r, accept, reject(http.StatusNotAcceptable,
			"accept %s, %s or %s", typeResponse, typeJSON, typeEvents))

		return
	}

	params, err := h.readParams(w, r)
	if err != nil {
		h.reject(w, r, accept, err)

		return
	}

	ctx := graphql.StartOperationTrace(r.Context())
	params.Headers = r.Header
	params.ReadTime = graphql.TraceTiming{Start: graphql.GetStartTime(ctx), End: graphql.Now()}

	oc, errs := h.executor.CreateOperationContext(ctx, params)
	if errs == nil {
		kind := oc.Operation.Operation

		switch {
		case r.Method == http.MethodGet && kind == ast.Mutation:
			w.Header().Set("Allow", http.MethodPost)
			h.reject(w, r, accept, reject(http.StatusMethodNotAllowed, "send mutations by POST"))

			return
		case kind == ast.Subscription && !accept.events:
			errs = refuse(fault.New(fault.InvalidInput,
				"subscribe with Accept: %s or over WebSocket with graphql-transport-ws", typeEvents))
		}
	}

	ctx = graphql.WithOperationContext(ctx, oc)

	if accept.onlyEvents || errs == nil && oc.Operation.Operation == ast.Subscription {
		h.serveEvents(w, r.WithContext(ctx), oc, errs)

		return
	}

	if errs != nil {
		h.answer(w, accept.plain, h.executor.DispatchError(ctx, errs))

		return
	}

	handler, ctx := h.executor.DispatchOperation(ctx, oc)

	resp := handler(ctx)
	if resp == nil {
		resp = h.executor.refusal(ctx, fault.New(fault.Unavailable, "the request was given up before its answer"))
	}

	h.answer(w, accept.plain, resp)
}

// readParams reads the request's parameters, for any method.
func (h *Handler) readParams(w http.ResponseWriter, r *http.Request) (*graphql.RawParams, error) {
	switch r.Method {
	case http.MethodGet:
		params, err := queryParams(r.URL.RawQuery)
		if err != nil {
			return nil, &rejection{status: http.StatusBadRequest, cause: err}
		}

		return params, nil
	case http.MethodPost:
		body, err := h.readBody(w, r)
		if err != nil {
			return nil, err
		}

		params, err := decodeParams(body)
		if err != nil {
			return nil, &rejection{status: http.StatusBadRequest, cause: err}
		}

		return params, nil
	default:
		w.Header().Set("Allow", "GET, POST")

		return nil, reject(http.StatusMethodNotAllowed, "use GET or POST")
	}
}

// readBody reads a body of application/json, uncompressed, within its limits.
// Any other content type would let a foreign page send it without asking.
func (h *Handler) readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if err := readable(r); err != nil {
		// Else net/http waits for the body before it answers.
		w.Header().Set("Connection", "close")

		return nil, err
	}

	tooLarge := reject(http.StatusRequestEntityTooLarge,
		"the body is larger than %d bytes", h.config.MaxBody)
	if r.ContentLength > h.config.MaxBody {
		w.Header().Set("Connection", "close")

		return nil, tooLarge
	}

	control := http.NewResponseController(w)
	if err := control.SetReadDeadline(time.Now().Add(h.config.ReadTimeout)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return nil, reject(http.StatusBadRequest, "the body cannot be read")
	}

	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, h.config.MaxBody))
	if err != nil {
		w.Header().Set("Connection", "close")

		var limit *http.MaxBytesError

		switch {
		case errors.As(err, &limit):
			return nil, tooLarge
		case errors.Is(err, os.ErrDeadlineExceeded):
			return nil, reject(http.StatusRequestTimeout,
				"the body did not arrive within %s", h.config.ReadTimeout)
		default:
			return nil, reject(http.StatusBadRequest, "the body cannot be read")
		}
	}

	// The deadline would otherwise pass for a client that went away.
	if err := control.SetReadDeadline(time.Time{}); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return nil, reject(http.StatusBadRequest, "the body cannot be read")
	}

	return body, nil
}

// readable refuses a body by its headers.
func readable(r *http.Request) error {
	name, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || name != typeJSON {
		return reject(http.StatusUnsupportedMediaType, "send Content-Type: %s", typeJSON)
	}

	if charset, given := params["charset"]; given && !isUTF8(charset) {
		return reject(http.StatusUnsupportedMediaType, "send the body in UTF-8")
	}

	if encoding := r.Header.Get("Content-Encoding"); encoding != "" && encoding != "identity" {
		return reject(http.StatusUnsupportedMediaType, "send the body without Content-Encoding")
	}

	return nil
}

// reject answers a request that HTTP's rules refuse.
func (h *Handler) reject(w http.ResponseWriter, r *http.Request, accept accepted, err error) {
	status := http.StatusBadRequest
	if rejected, ok := errors.AsType[*rejection](err); ok {
		status = rejected.status
	}

	h.write(w, status, accept.plain, &graphql.Response{
		Errors: gqlerror.List{h.executor.errors.present(r.Context(), err)},
	})
}

// answer writes one answer. By the specification application/json is 200
// whatever became of the request, and its successor says it in the status.
func (h *Handler) answer(w http.ResponseWriter, mediaType string, resp *graphql.Response) {
	status := http.StatusOK
	if mediaType == typeResponse && resp.Data == nil && len(resp.Errors) > 0 {
		status = statusOf(codeOf(resp.Errors[0]))
	}

	h.write(w, status, mediaType, resp)
}

func statusOf(code fault.Code) int {
	switch code {
	case fault.Unauthenticated:
		return http.StatusUnauthorized
	case fault.Forbidden:
		return http.StatusForbidden
	case fault.RateLimited:
		return http.StatusTooManyRequests
	case fault.Unavailable:
		return http.StatusServiceUnavailable
	case fault.Internal:
		return http.StatusInternalServerError
	default:
		return http.StatusBadRequest
	}
}

func (h *Handler) write(w http.ResponseWriter, status int, mediaType string, resp *graphql.Response) {
	if mediaType == "" {
		mediaType = typeJSON
	}

	body, err := AppendResponse(make([]byte, 0, len(resp.Data)+512), resp)
	if err != nil {
		status = http.StatusInternalServerError
		body = []byte(`{"errors":[{"message":"the answer cannot be encoded","extensions":{"code":"INTERNAL"}}]}`)
	}

	header := w.Header()
	header.Set("Content-Type", mediaType+"; charset=utf-8")
	header.Set("Content-Length", strconv.Itoa(len(body)))

	deadline := time.Now().Add(h.config.WriteTimeout + time.Duration(len(body)>>16)*time.Second)
	if err := http.NewResponseController(w).SetWriteDeadline(deadline); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return // The connection is gone.
	}

	w.WriteHeader(status)

	if _, err := w.Write(body); err != nil { //nolint:gosec // JSON that no browser takes for a page: nosniff
		return // The client went away; net/http closes the connection.
	}
}
