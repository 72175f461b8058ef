// The GraphQL-over-HTTP audits: prints those that fail, and how many there are.
import { serverAudits } from 'graphql-http';

const audits = serverAudits({ url: process.argv[2] });
for (const audit of audits) {
  const { status, reason } = await audit.fn();
  if (status !== 'ok') console.log(`${status} ${audit.id} ${audit.name}: ${reason}`);
}
console.log(`${audits.length} audits`);
