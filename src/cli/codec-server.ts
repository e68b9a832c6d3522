import { InvalidArgumentError } from '@commander-js/extra-typings';
import { CliError, EXIT } from './exit.ts';
import { configOf, untilInterrupted } from './operator.ts';
import { printJsonLine, say } from './output.ts';
import { type Program, example } from './program.ts';

const HOST = '127.0.0.1';

export function register(program: Program): void {
  program
    .command('codec-server')
    .summary("open encrypted histories for Temporal's UI and command line, on this machine")
    .description(
      "Answers Temporal's UI in this machine's browser, and `temporal --codec-endpoint`, with the keys that temporal.codec names, until Ctrl-C. Whoever reaches it reads everything: it listens on 127.0.0.1 alone, and answers pages of one origin alone. Give the address that it prints to the UI as its codec endpoint.",
    )
    .option('--port <port>', 'where', readPort, 8234)
    .option('--origin <origin>', "where Temporal's UI is; left out: temporal.ui of the configuration")
    .addHelpText('after', example('understudy codec-server', 'understudy codec-server --origin https://temporal.example.com'))
    .action(async (options, command) => codecServer(options, command));
}

function readPort(text: string): number {
  const port = Number(text);
  if (!Number.isSafeInteger(port) || port < 0 || port > 65_535) throw new InvalidArgumentError('It is a whole number up to 65535.');
  return port;
}

async function codecServer({ port, origin }: { readonly port: number; readonly origin?: string | undefined }, command: Program): Promise<void> {
  const config = await configOf(command);
  const codec = config?.temporal.codec;
  if (codec === undefined)
    throw new CliError(EXIT.failed, 'nothing is encrypted here', { why: 'the configuration has no temporal.codec', next: 'name its keys there first' });
  const ui = origin ?? config?.temporal.ui;
  if (ui === undefined || !URL.canParse(ui))
    throw new CliError(EXIT.usage, "it is not said where Temporal's UI is", {
      next: 'understudy codec-server --origin https://temporal.example.com, or temporal.ui in the configuration',
    });
  const [{ EncryptionCodec }, { createCodecServer }] = await Promise.all([import('../runtime/codec.ts'), import('../runtime/codec-server.ts')]);
  const allowed = new URL(ui).origin;
  const server = createCodecServer(new EncryptionCodec(codec), allowed);
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      reject(
        new CliError(EXIT.failed, `nothing can listen at ${HOST}:${port}`, {
          why: error.code ?? error.message,
          next: 'choose another with --port',
          cause: error,
        }),
      ),
    );
    server.listen(port, HOST, resolve);
  });
  const interrupt = untilInterrupted();
  const { port: chosen } = server.address() as { port: number };
  await printJsonLine({ ready: true, endpoint: `http://${HOST}:${chosen}`, origin: allowed });
  say(`understudy: http://${HOST}:${chosen} opens payloads for ${allowed}; Ctrl-C ends it`);
  if (!interrupt.signal.aborted) await new Promise((resolve) => interrupt.signal.addEventListener('abort', resolve, { once: true }));
  interrupt.close();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
}
