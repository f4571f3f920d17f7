/* SPDX-License-Identifier: MIT */
/*
 * Short function names: what a programmer calls the function, without parameters, template arguments, return type, and what compilers
 * append for a part or a copy of it.
 *
 *     std::vector<int, std::allocator<int> >::push_back(int const&)     std::vector::push_back
 *     void (anonymous namespace)::sort<int*>(int*, int*)                {anonymous}::sort
 *     run()::{lambda(int)#1}::operator()(int) const                     run::{lambda#1}::operator()
 *     <alloc::vec::Vec<T> as core::ops::drop::Drop>::drop               {alloc::vec::Vec as core::ops::drop::Drop}::drop
 *     main.(*T).Run, operator new(unsigned long)                        main.(*T).Run, operator new
 *     do_sys_open.isra.0, parse(char const*).cold                       do_sys_open, parse
 *
 * A name that this does not understand stays as it is: a long name is better than a wrong one.
 */
#pragma once

#include <stddef.h>

#include "base/buffer.h"

void name_put_short(struct buffer *b, const char *name, size_t length);
