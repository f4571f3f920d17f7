/* SPDX-License-Identifier: MIT */
/* How a process comes to the memory that it shares with the recorder: over a socket, of which nothing is kept. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "scope/private.h"

/* In private memory: a program may clear its environment, and its children still are to be recorded. */
static struct {
    struct sockaddr_un address;
    socklen_t length;
    struct scope_hello hello;
} recorder;

static int digit_of(char c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool parse_secret(const char *text, uint8_t secret[SCOPE_SECRET_BYTES]) {
    for (size_t i = 0; i < SCOPE_SECRET_BYTES; i++) {
        int high = digit_of(text[2 * i]), low = high < 0 ? -1 : digit_of(text[2 * i + 1]);
        if (low < 0)
            return false;
        secret[i] = (uint8_t)(high << 4 | low);
    }
    return text[2 * SCOPE_SECRET_BYTES] == '\0';
}

bool scope_link_prepare(void) {
    const char *value = secure_getenv(SCOPE_SOCKET_VARIABLE), *colon = value ? strchr(value, ':') : NULL;
    size_t length = colon ? (size_t)(colon - value) : 0;
    if (!length || length >= sizeof recorder.address.sun_path || !parse_secret(colon + 1, recorder.hello.secret))
        return false;
    recorder.address.sun_family = AF_UNIX;
    memcpy(recorder.address.sun_path + 1, value, length);
    recorder.length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + length);
    recorder.hello.version = SCOPE_VERSION;
    return true;
}

static int receive_memory(int connection) {
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    struct scope_welcome welcome;
    struct iovec data = {&welcome, sizeof welcome};
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    ssize_t got = recvmsg(connection, &message, MSG_CMSG_CLOEXEC);
    const struct cmsghdr *head = got < 0 ? NULL : CMSG_FIRSTHDR(&message);
    if (!head || head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS || head->cmsg_len != CMSG_LEN(sizeof(int)))
        return -1;
    int fd;
    memcpy(&fd, CMSG_DATA(head), sizeof fd);
    if (got == (ssize_t)sizeof welcome && welcome.magic == SCOPE_MAGIC && welcome.version == SCOPE_VERSION)
        return fd;
    close(fd);
    return -1;
}

/* A recorder that does not answer must not hold up the program: a second, then it runs unseen. */
static int fetch_memory(void) {
    struct timeval patience = {.tv_sec = 1};
    int fd = -1, connection = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connection < 0)
        return -1;
    if (setsockopt(connection, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) == 0 &&
        setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0 &&
        connect(connection, (const struct sockaddr *)&recorder.address, recorder.length) == 0 &&
        send(connection, &recorder.hello, sizeof recorder.hello, MSG_NOSIGNAL) == (ssize_t)sizeof recorder.hello)
        fd = receive_memory(connection);
    close(connection);
    return fd;
}

/* As much as may be had: a limit of address space leaves room for fewer threads. */
static void *map(int fd, uint64_t *ret_size) {
    for (uint64_t size = SCOPE_MEMORY_BYTES; size >= SCOPE_MEMORY_BYTES >> 6; size >>= 2) {
        void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
        if (memory == MAP_FAILED)
            continue;
        (void)madvise(memory, size, MADV_DONTDUMP);
        *ret_size = size;
        return memory;
    }
    return NULL;
}

/* No handler runs meanwhile: a socket with a time limit gives up at the first one, whatever SA_RESTART says (signal(7)). */
struct scope_shared *scope_link_connect(uint64_t *ret_size) {
    uint64_t size = 0, mask = scope_block_signals();
    int fd = fetch_memory();
    scope_restore_signals(mask);
    if (fd < 0)
        return NULL;
    struct scope_shared *shared = map(fd, &size);
    close(fd);
    if (!shared)
        return NULL;
    if (shared->magic != SCOPE_MAGIC || shared->version != SCOPE_VERSION) {
        munmap(shared, size);
        return NULL;
    }
    *ret_size = size;
    return shared;
}
