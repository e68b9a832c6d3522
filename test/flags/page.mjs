// In a browser's page: tells the flag `understudy.level`, with its reason, of each evaluation to the page's own server, until that one has heard enough.
import { OFREPWebProvider } from '@openfeature/ofrep-web-provider';
import { OpenFeature, ProviderEvents } from '@openfeature/web-sdk';

const { baseUrl } = Object.fromEntries(new URLSearchParams(location.search));
const client = OpenFeature.getClient();
const tell = (event) => {
  const { value, reason } = client.getStringDetails('understudy.level', 'none');
  const shown = client.getBooleanValue('recommendations', false);
  return fetch(`/heard?${new URLSearchParams({ event, value, reason, shown })}`, { method: 'POST' });
};
client.addHandler(ProviderEvents.ConfigurationChanged, () => tell('changed'));
await OpenFeature.setProviderAndWait(new OFREPWebProvider({ baseUrl, headers: [['Authorization', 'Bearer shop-secret']], pollInterval: 0 }));
await tell('ready');
