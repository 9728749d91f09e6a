// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package subscription

import (
	"errors"
	"fmt"
)

// usable returns err, or an error in its place if one of its methods panics: an error of a
// user's Dialer may be a nil pointer, for example.
func usable(err error) (usable error) {
	if err == nil {
		return nil
	}
	defer func() {
		if v := recover(); v != nil {
			usable = panicError("an error of the client", v)
		}
	}()
	_ = err.Error()
	_ = errors.Is(err, errEnded) // calls the methods Is and Unwrap
	return err
}

func panicError(where string, v any) error {
	if err, ok := v.(error); ok {
		return fmt.Errorf("tracedpubsub: panic in %s: %w", where, err)
	}
	return fmt.Errorf("tracedpubsub: panic in %s: %v", where, v)
}
