import type { OwnedRecord } from '../../model/record.ts';
import { markerText, readMarkerTexts } from '../marker.ts';
import type { Marker } from '../marker.ts';
import type { ResourceRecord } from './message.ts';
import { txtData, txtStrings } from './rdata.ts';

/** @throws UnderstudyError `BadInput` where the owner does not fit */
export const markerRdata = (record: Pick<OwnedRecord, 'owner' | 'epoch'>): Buffer => txtData([markerText(record)]);

/** Undefined where there is not exactly one marker of a form that we know. */
export const readMarker = (records: readonly ResourceRecord[]): Marker | undefined => readMarkerTexts(records.map(({ rdata }) => txtStrings(rdata).join('')));
