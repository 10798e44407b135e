// Owns the table of witness columns: what two files say of the same event, whatever tier, version or variation they are of.

/** Names of one quantity in different versions; the first one names it in reports. Prefixes of ATLAS are put before by the caller. */
export type Aliases = readonly string[];

/**
 * Equal in every event that is the same event: quantities of the hard process, of the generator's record, of the bunch
 * crossing. genWeight is none: it takes one or two values, so that any two events agree in it.
 */
export const HARD: readonly Aliases[] = [
  ['Generator_x1'],
  ['Generator_x2'],
  ['Generator_scalePDF'],
  ['Generator_id1'],
  ['Generator_id2'],
  ['GenMET_pt'],
  ['GenVtx_z'],
  ['LHEWeight_originalXWGTUP'],
  ['Pileup_nTrueInt'],
  ['mcChannelNumber'],
  ['bunchCrossing'],
  ['orbitNumber'],
  ['bcid'],
  ['timeStamp'],
];

/** Differ honestly between versions and variations (thresholds, calibrations): how often is told, no more. */
export const SOFT: readonly Aliases[] = [
  ['PV_npvs'],
  ['PV_npvsGood'],
  ['MET_pt', 'PFMET_pt'],
  ['MET_phi', 'PFMET_phi'],
  ['PuppiMET_pt'],
  ['Rho_fixedGridRhoAll', 'fixedGridRhoAll'],
  ['Rho_fixedGridRhoFastjetAll', 'fixedGridRhoFastjetAll'],
  ['Rho_fixedGridRhoFastjetCentral', 'fixedGridRhoFastjetCentral'],
  ['Rho_fixedGridRhoFastjetCentralCalo', 'fixedGridRhoFastjetCentralCalo'],
  ['Rho_fixedGridRhoFastjetCentralChargedPileUp', 'fixedGridRhoFastjetCentralChargedPileUp'],
  ['Rho_fixedGridRhoFastjetCentralNeutral', 'fixedGridRhoFastjetCentralNeutral'],
];

/** `nJet`: how many objects passed a threshold, which versions move. */
export const SOFT_COUNTER = /^n[A-Z]\w*$/;
