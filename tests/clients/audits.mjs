// Runs the GraphQL-over-HTTP audits. Prints the failed ones and the number of audits.
import { serverAudits } from 'graphql-http';

const audits = serverAudits({ url: process.argv[2] });
for (const audit of audits) {
  const { status, reason } = await audit.fn();
  if (status !== 'ok') console.log(`${status} ${audit.id} ${audit.name}: ${reason}`);
}
console.log(`${audits.length} audits`);
