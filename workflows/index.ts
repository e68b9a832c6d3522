export { failoverGroup } from './failover-group.ts';
export { failover } from './failover.ts';
export { switchover } from './switchover.ts';
