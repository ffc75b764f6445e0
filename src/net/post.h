/* post.h - work that is sent to the core thread.
 *
 * Whatever wants to run on the core thread embeds a post, points it at a function and hands it
 * to the core's queue; the core calls it.  The sender gives up the object with it.
 *
 * Thread: made anywhere, run on the core thread.  Memory: inside the object that travels.
 */
#ifndef NET_POST_H
#define NET_POST_H

struct post {
	void (*run)(struct post *p);
};

/* The way to the core thread.  May wait for room in its queue; never called by the core itself. */
struct core_port {
	void *arg;
	void (*post)(void *arg, struct post *p);
};

#endif
