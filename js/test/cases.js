// Tables of cases as functions: each is a query that runs its rows and returns what was not as
// expected.  A row is a reason, what to do, and the result as JSON; a failure is "Name: message".
import { queryGeneric as query } from "convex/server";

export async function outcome(run) {
  try {
    return await run();
  } catch (e) {
    return `${e?.name}: ${e?.message}`;
  }
}

export const cases = (rows) =>
  query(async () => {
    const wrong = [];
    for (const [reason, run, want] of rows) {
      const got = JSON.stringify(await outcome(run));
      if (got !== JSON.stringify(want)) {
        wrong.push(`${reason}: ${got} instead of ${JSON.stringify(want)}`);
      }
    }
    return wrong;
  });

