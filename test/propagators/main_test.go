// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package propagators

import (
	"os"
	"testing"

	"github.com/tracedpubsub/tracedpubsub/internal/redistest"
)

func TestMain(m *testing.M) { os.Exit(redistest.Main(m)) }
