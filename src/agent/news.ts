import type { Client } from '@temporalio/client';
import { WorkflowNotFoundError } from '@temporalio/common';
import type { Logger } from 'pino';
import type { MemberNews } from '../model/act.ts';
import { pause } from './member.ts';

const RETRY_MS = 250;

/** Each piece of news costs the server a workflow task. A standby's, and a primary's start, change nothing that could not wait until an incident's moment is over. */
const SETTLE_MS = 300;

/** Sends news to the group's workflow, the newest only, and tries until it is heard: older news is not worth a retry. */
export class NewsDesk {
  readonly #client: Client;
  readonly #log: Logger;
  #next: { workflowId: string; news: MemberNews } | undefined;
  #sending = false;
  #hurry = new AbortController();

  constructor(client: Client, log: Logger) {
    this.#client = client;
    this.#log = log;
  }

  tell(workflowId: string, news: MemberNews): void {
    this.#next = { workflowId, news };
    if (isUrgent(news)) this.#hurry.abort();
    if (!this.#sending) void this.#send();
  }

  async #send(): Promise<void> {
    this.#sending = true;
    while (this.#next !== undefined) {
      this.#hurry = new AbortController();
      if (!isUrgent(this.#next.news)) await pause(SETTLE_MS, this.#hurry.signal);
      const { workflowId, news } = this.#next;
      try {
        await this.#client.connection.withDeadline(Date.now() + 2000, () => this.#client.workflow.getHandle(workflowId).signal('news', news));
        if (this.#next?.news === news) this.#next = undefined;
      } catch (error) {
        if (error instanceof WorkflowNotFoundError) {
          this.#log.warn({ workflowId }, "nobody hears the news: the group's workflow does not run");
          if (this.#next?.news === news) this.#next = undefined;
        } else {
          this.#log.debug({ err: error }, 'news not delivered yet');
          await pause(RETRY_MS);
        }
      }
    }
    this.#sending = false;
  }
}

function isUrgent({ role, phase }: MemberNews): boolean {
  return role === 'primary' && phase !== 'starting';
}
