/* gate.h - from any thread to the core: work for the loop thread's next turn.
 *
 * Whoever wants the core embeds a gate_post, points it at a function and hands it over.
 *
 * Thread: any may post; functions run on the loop thread, in the order of arrival.
 * Memory: inside the object that travels.
 */
#ifndef FUNCTIONS_GATE_H
#define FUNCTIONS_GATE_H

struct gate_post {
	struct gate_post *next; /* the gate's */
	void (*run)(struct gate_post *p);
};

struct gate {
	void *arg;
	void (*post)(void *arg, struct gate_post *p);
};

#endif
