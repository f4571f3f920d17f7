// SPDX-License-Identifier: MIT

// Go and C take turns: goroutines on several threads, each of which spends its time in Go, on Go's stacks, and in C called from there, on
// the threads' own. What it prints is always the same.
package main

/*
#include <stdint.h>
static uint64_t work_in_c(uint64_t x, int rounds) {
    for (int i = 0; i < rounds; i++)
        x = x * 6364136223846793005u + (x >> 33);
    return x;
}
*/
import "C"

import (
	"fmt"
	"os"
	"strconv"
	"sync"
)

//go:noinline
func workInGo(x uint64, rounds int) uint64 {
	for i := 0; i < rounds; i++ {
		x = x*6364136223846793005 + (x >> 33)
	}
	return x
}

func turn(seed uint64, turns int) uint64 {
	for i := 0; i < turns; i++ {
		seed = workInGo(seed, 100000)
		seed = uint64(C.work_in_c(C.uint64_t(seed), 100000))
	}
	return seed
}

func main() {
	turns, err := strconv.Atoi(os.Args[1])
	if err != nil {
		os.Exit(2)
	}
	var group sync.WaitGroup
	results := make([]uint64, 4)
	for i := range results {
		group.Add(1)
		go func(i int) {
			defer group.Done()
			results[i] = turn(uint64(i), turns)
		}(i)
	}
	group.Wait()
	fmt.Println(results)
	os.Exit(3)
}
