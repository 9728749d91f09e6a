// SPDX-FileCopyrightText: The tracedpubsub Authors
// SPDX-License-Identifier: Apache-2.0

package tracedpubsub_test

import (
	"fmt"

	"github.com/tracedpubsub/tracedpubsub"
)

func ExampleJSON() {
	ctx, rdb, done := exampleRedis()
	defer done()
	sub := subscribed(ctx, rdb, "orders")
	defer sub.Close()

	type Order struct {
		ID    int    `json:"id"`
		Title string `json:"title"`
	}
	tracedpubsub.Publish(ctx, rdb, "orders", tracedpubsub.JSON(Order{ID: 7, Title: "tea"}))

	for _, msg := range sub.Messages(ctx) {
		var order Order
		if err := msg.JSON(&order); err != nil {
			fmt.Println(err)
		}
		fmt.Println(msg.Payload, order.Title)
		break
	}
	err := tracedpubsub.Publish(ctx, rdb, "orders", tracedpubsub.JSON(make(chan int))).Err()
	fmt.Println(err)

	// Output:
	// {"id":7,"title":"tea"} tea
	// json: unsupported type: chan int
}
