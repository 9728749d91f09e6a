// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package subscription

import (
	"testing"
	"time"
)

// A witness may have heard all others long ago, for example because it was stopped. Its word is
// as old as that.
func TestTheWordOfAWitnessIsAsOldAsTheLastPong(t *testing.T) {
	witness := parseNodes(`aa 10.0.0.1:7000@17000 myself,master - 0 0 1 connected 0-5460
bb 10.0.0.2:7000@17000 master - 0 7000 2 connected 5461-10922
cc 10.0.0.3:7000@17000 master - 0 8000 3 connected 10923-16383
`)
	about := parseNodes("bb 10.0.0.2:7000@17000 myself,master - 0 0 2 connected 5461-10922\n")
	witness.now = 9500 * time.Millisecond
	if got, want := about.age([]*opinion{witness}), 2500*time.Millisecond; got != want {
		t.Errorf("the word is %v old, want %v", got, want)
	}
}
