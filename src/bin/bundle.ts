import { workflowBundle } from '../runtime/workflow-bundle.ts';

/** `node bundle.js`: makes the workflow bundle ahead of the first worker, for an image or a package. */
const { codePath } = await workflowBundle();
process.stdout.write(`${codePath}\n`);
