// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package redistest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestStartAnotherProgram(t *testing.T) {
	other := filepath.Join(t.TempDir(), "other-server")
	if err := os.Symlink(Start(t).path, other); err != nil {
		t.Fatal(err)
	}
	t.Setenv("REDIS_SERVER", other)
	info, err := Start(t).Client().Info(t.Context(), "server").Result()
	if err != nil || !strings.Contains(info, "\nexecutable:"+other+"\r") {
		t.Errorf("the server says %v\n%s\nwant that it is %s", err, info, other)
	}
}
