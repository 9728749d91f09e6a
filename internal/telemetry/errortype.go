// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"reflect"
	"regexp"
	"strings"
	"syscall"

	"github.com/redis/go-redis/v9"

	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// The values of error.type that this package defines.
const (
	panicErrorType      = "panic"
	timeoutErrorType    = "timeout"
	canceledErrorType   = "canceled"
	connectionErrorType = "connection"
)

// errorPrefix matches the first word of an error reply of a server, such as NOPERM. A script
// on the server may reply with any text.
var errorPrefix = regexp.MustCompile(`^[A-Z][A-Z0-9]{0,31}$`)

// describe returns the error.type of err, which the function of returns, and the text of err.
// If a method of err panics, for example because err is a nil pointer, these are the type of
// err and what package fmt prints then.
func (t *Telemetry) describe(err error, of func(error) string) (errorType, text string) {
	defer func() {
		if v := recover(); v != nil {
			t.HandlePanic(methodOfError, v)
			if errorType == "" {
				errorType = typeName(err)
			}
			text = fmt.Sprint(err)
		}
	}()
	errorType = of(err)
	return errorType, err.Error()
}

// typeName returns the name of the type of err, as semconv.ErrorType does, but calls no method
// of err.
func typeName(err error) string {
	t := reflect.TypeOf(err)
	if t.PkgPath() != "" && t.Name() != "" {
		return t.PkgPath() + "." + t.Name()
	}
	return t.String()
}

// clientErrorType returns the error.type of an error of the client. For an error reply of the
// server, that is its prefix. For other errors it is one of the values above, or the type of
// the error.
func clientErrorType(err error) string {
	if err == context.Canceled { //nolint:errorlint // to find it among others, errors.As allocates
		return canceledErrorType
	}
	var reply redis.Error
	if errors.As(err, &reply) {
		prefix, _, _ := strings.Cut(reply.Error(), " ")
		if !errorPrefix.MatchString(prefix) {
			return semconv.ErrorTypeOther.Value.AsString()
		}
		return prefix
	}
	switch {
	case isTimeout(err):
		return timeoutErrorType
	case errors.Is(err, context.Canceled):
		return canceledErrorType
	case isConnectionError(err):
		return connectionErrorType
	}
	return semconv.ErrorType(err).Value.AsString()
}

// handlerErrorType returns the error.type of an error that a handler of messages has
// returned: the result of its ErrorType method, or its type.
func handlerErrorType(err error) string { return semconv.ErrorType(err).Value.AsString() }

func isTimeout(err error) bool {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, redis.ErrPoolTimeout) {
		return true
	}
	var network net.Error
	return errors.As(err, &network) && network.Timeout()
}

func isConnectionError(err error) bool {
	for _, closed := range []error{io.EOF, io.ErrUnexpectedEOF, io.ErrClosedPipe, net.ErrClosed, redis.ErrClosed} {
		if errors.Is(err, closed) {
			return true
		}
	}
	var failed *net.OpError
	var kernel syscall.Errno
	return errors.As(err, &failed) || errors.As(err, &kernel)
}
