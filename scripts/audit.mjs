/**
 * Known holes in what runs in production, as the registry knows them. Exit code 1 for a serious one; where the registry cannot be asked it says so and ends
 * with 0, since a check must work on a train.
 */
import { runQuietly, say } from './steps.mjs';

const SERIOUS = ['high', 'critical'];

if (process.env.UNDERSTUDY_OFFLINE === '1') say('skipped: UNDERSTUDY_OFFLINE=1');
else await audit();

async function audit() {
  const { output } = await runQuietly('npm', ['audit', '--omit=dev', '--json', '--fetch-retries=0', '--fetch-timeout=5000', '--loglevel=silent']);
  const answer = parse(output);
  const found = answer?.metadata?.vulnerabilities;
  if (found === undefined) {
    const why = answer?.message ?? output.trim().split('\n')[0] ?? '';
    say(`skipped: the registry does not answer (${why.replace(/ - (GET|POST) .*/, '').slice(0, 120) || 'no words'})`);
    return;
  }
  const serious = Object.values(answer.vulnerabilities).filter(({ severity }) => SERIOUS.includes(severity));
  if (serious.length === 0) {
    say(found.total === 0 ? 'none known' : `${found.total} known, none of them serious`);
    return;
  }
  for (const { name, severity, range, via } of serious) {
    const [first] = via.filter((one) => typeof one === 'object');
    say(`${severity}: ${name} ${range}${first === undefined ? '' : `: ${first.title} (${first.url})`}`);
  }
  say('Next: npm audit --omit=dev, and a version of it that is mended');
  process.exitCode = 1;
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
