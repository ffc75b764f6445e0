/* post.h - work for the core's next turn.
 *
 * Whatever wants the core embeds a post, points it at a function and hands it over; the core calls
 * it in its next turn.  The sender gives up the object with it.
 *
 * Thread: the loop thread.  Memory: inside the object that travels.
 */
#ifndef NET_POST_H
#define NET_POST_H

struct post {
	struct post *next; /* the core's */
	void (*run)(struct post *p);
};

/* The way to the core. */
struct core_port {
	void *arg;
	void (*post)(void *arg, struct post *p);
};

#endif
